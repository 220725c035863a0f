from __future__ import annotations

from dataclasses import replace

import pytest

from toothgraph.config import read_toml, updated
from toothgraph.errors import ConfigError
from toothgraph.model.config import NetConfig, check_net
from toothgraph.model.nets import ContrastiveNet, SegmentationNet
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, FinetuneConfig, PretrainConfig, make_config


@pytest.mark.parametrize("presets", [PRETRAIN_PRESETS, FINETUNE_PRESETS])
@pytest.mark.parametrize("name", ["default", "paper"])
def test_presets_are_valid(presets, name):
    assert make_config(presets, name, []) == presets[name]


def test_presets_fit_together():
    for name in ("default", "paper"):
        first, second = PRETRAIN_PRESETS[name].net, FINETUNE_PRESETS[name].net
        pretrained, segmenter = ContrastiveNet(first).state_dict(), SegmentationNet(second).state_dict()
        backbone = {key: value.shape for key, value in segmenter.items() if key.startswith("backbone.")}
        assert backbone == {key: value.shape for key, value in pretrained.items() if key in backbone}


def test_unknown_preset():
    with pytest.raises(ConfigError, match="expected a preset of default, paper, got 'thesis'"):
        make_config(PRETRAIN_PRESETS, "thesis", [])


def test_updated_leaves_the_original():
    config = PretrainConfig()
    other = updated(config, {"net": {"graph": {"k": 3}}, "lr": 1}, "here")
    assert other.net.graph.k == 3 and other.lr == 1.0 and isinstance(other.lr, float)
    assert other.net.widths == config.net.widths
    assert config == PretrainConfig()


@pytest.mark.parametrize(("values", "said"), [
    ({"lr": "fast"}, "here: lr: expected float, got 'fast'"),
    ({"steps": 2.5}, "here: steps: expected int, got 2.5"),
    ({"steps": None}, "here: steps: expected int, got None"),
    ({"normalize": 1}, "here: normalize: expected bool, got 1"),
    ({"epochs": True}, "here: epochs: expected int | None, got True"),
    ({"net": {"widths": [1, "x"]}}, "here: net: widths: expected int, got 'x'"),
    ({"net": {"widths": 8}}, "here: net: widths: expected "),
    ({"net": {"graph": {"k": 0}}}, "here: net: graph: expected k of at least 1"),
    ({"nothing": {}}, "here: unknown option 'nothing'; options: accumulate, bases, batch, "),
    ({"view": {}}, "here: unknown option 'view'; did you mean 'views'?"),
])  # fmt: skip
def test_updated_refuses(values, said):
    with pytest.raises(ConfigError) as caught:
        updated(PretrainConfig(), values, "here")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(("values", "said"), [
    ({"cuts": {"region": -0.1}}, "here: cuts: expected probability region of a removal of at least 0 and at most 1"),
    ({"cuts": {"missing": 1.5}}, "here: cuts: expected probability missing of a removal of at least 0 and at most 1"),
    ({"warps": {"prepared": 1.5}}, "here: warps: expected probability prepared of a change of teeth of at least 0"),
])  # fmt: skip
def test_chances_are_probabilities(values, said):
    with pytest.raises(ConfigError) as caught:
        make_config(FINETUNE_PRESETS, "default", [("here", values)])
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("change", [
    {"steps": 0}, {"epochs": 0}, {"batch": 0}, {"variants": 0}, {"log_every": 0}, {"seed": -1}, {"seed": 10**22},
    {"workers": -1},
    {"lr": 0.0}, {"lr": float("inf")}, {"clip": -1.0}, {"clip": float("nan")}, {"val_fraction": 1.5},
    {"label_fraction": 0.0}, {"bases": -1},
    {"average": 1.0}, {"backbone_rate": 0.0}, {"label_smoothing": 2.0},
    {"device": "tpu"}, {"precision": "64"}, {"optimizer": "lion"}, {"schedule": "step"},
])  # fmt: skip
def test_values_out_of_range(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        make_config({"own": replace(FinetuneConfig(), **change)}, "own", [])


@pytest.mark.parametrize("change", [
    {"widths": (8, 8)}, {"widths": (8, 8, 8, 0)}, {"head_widths": ()}, {"embedding": 0}, {"pair_channels": 0},
    {"projection": -1}, {"dynamic_k": 0}, {"dropout": 1.0}, {"graph": replace(NetConfig().graph, k=0, spacings=())},
    {"graph": replace(NetConfig().graph, spacings=())}, {"graph": replace(NetConfig().graph, faces=10)},
    {"features": "colour"}, {"norm": "group"}, {"classes": "some"},
])  # fmt: skip
def test_shapes_no_net_can_have(change):
    with pytest.raises(ConfigError, match="expected"):
        check_net(replace(NetConfig(), **change))


def test_read_toml(tmp_path):
    (tmp_path / "a.toml").write_text("lr = 0.1\n[net]\nkind = 'paper'\n")
    assert read_toml(tmp_path / "a.toml") == {"lr": 0.1, "net": {"kind": "paper"}}
    (tmp_path / "b.toml").write_bytes(b"name = '\xff'")
    for name, said in (("b.toml", "not a TOML file"), ("c.toml", "no such file or folder")):
        with pytest.raises(ConfigError, match=said):
            read_toml(tmp_path / name)
