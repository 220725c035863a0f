from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from toothgraph.errors import CheckpointError, ConfigError, ShapeError
from toothgraph.model.file import load_backbone, load_segmentation, make_net, read_model, save_model
from toothgraph.model.nets import ContrastiveNet, SegmentationNet


def test_what_is_saved_is_read(small_net, tmp_path):
    net = SegmentationNet(small_net)
    save_model(tmp_path / "model.safetensors", net, {"seed": 7})
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded, file = load_segmentation(path)
        assert file.kind == "segmentation" and file.net == small_net and file.header["seed"] == 7
        assert not loaded.training
        assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())


def test_backbone_goes_over(small_net, tmp_path):
    source, target = ContrastiveNet(small_net), SegmentationNet(small_net)
    save_model(tmp_path / "a.safetensors", source, {})
    head = {key: value.clone() for key, value in target.state_dict().items() if key.startswith("head.")}
    count, missing = load_backbone(target, read_model(tmp_path / "a.safetensors"))
    assert sorted(missing) == sorted(head) and count + len(missing) == len(target.state_dict())
    for key, value in target.state_dict().items():
        assert torch.equal(value, head[key] if key in head else source.state_dict()[key])
    with pytest.raises(CheckpointError, match="pre-trained backbone, not a segmentation net"):
        load_segmentation(tmp_path / "a.safetensors")


def test_another_backbone_is_refused(small_net, tmp_path):
    save_model(tmp_path / "a.safetensors", ContrastiveNet(replace(small_net, pair_channels=8)), {})
    with pytest.raises(CheckpointError, match="backbone tensors are missing or of another shape"):
        load_backbone(SegmentationNet(small_net), read_model(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("header", [
    None, "no json", "[]", "{}", '{"format": "toothgraph-model-0", "kind": "segmentation", "net": {}}',
    '{"format": "toothgraph-model-1", "kind": ["segmentation"], "net": {}}',
    '{"format": "toothgraph-model-1", "kind": "segmentation", "net": []}',
    '{"format": "toothgraph-model-1", "kind": "segmentation", "net": {"depth": 3}}',
    '{"format": "toothgraph-model-1", "kind": "segmentation", "net": {"kind": "other"}}',
    '{"format": "toothgraph-model-1", "kind": "segmentation", "net": {"widths": []}}',
    '{"format": "toothgraph-model-1", "kind": "segmentation", "net": {}}',
])  # fmt: skip
def test_bad_headers(header, tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(2)}, file, metadata=None if header is None else {"toothgraph": header})
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_segmentation(file)


def test_no_model_yet(tmp_path):
    with pytest.raises(CheckpointError, match="has its training finished"):
        read_model(tmp_path)


def test_make_net(small_net):
    with pytest.raises(ConfigError, match="kind"):
        make_net(SegmentationNet, replace(small_net, kind="other"))


def test_what_has_no_file_is_told(small_net, tmp_path):
    class Own(SegmentationNet):
        pass

    for other in (Own(small_net), torch.nn.Linear(2, 2), torch.compile(SegmentationNet(small_net), backend="eager")):
        with pytest.raises(ShapeError, match=r"a ContrastiveNet or a SegmentationNet, got .*_orig_mod"):
            save_model(tmp_path / "model.safetensors", other, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"net": "mine"}, "got net"),
        ({"kind": "a", "format": 1}, "got format, kind"),
        ({"loss": np.float32(0.3)}, "JSON"),
    ],
)
def test_a_header_that_could_not_be_read_is_not_written(header, text, small_net, tmp_path):
    with pytest.raises(ConfigError, match=text):
        save_model(tmp_path / "model.safetensors", SegmentationNet(small_net), header)
    assert not list(tmp_path.iterdir())


def test_a_model_that_was_read_is_stored_again(tmp_path, small_net):
    """As nets get a net for crowns; its header then names the version that has stored it."""
    save_model(tmp_path / "a.safetensors", SegmentationNet(small_net), {"seed": 7, "train": ["x_upper"]})
    net, file = load_segmentation(tmp_path / "a.safetensors")
    save_model(tmp_path / "b.safetensors", net, {**file.header, "toothgraph": "0.0.1", "more": 1})
    again = read_model(tmp_path / "b.safetensors")
    assert again.header == {**file.header, "more": 1} and again.net == file.net
