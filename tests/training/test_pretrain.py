from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from toothgraph.data import Split, prepare_scan
from toothgraph.errors import ConfigError
from toothgraph.model.file import load_backbone, read_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.synthetic import MIN_FACES, synthetic_arch
from toothgraph.training.config import FinetuneConfig, PretrainConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import PretrainTask, pretrain


def test_a_subclass_says_what_is_learned(small_net, tmp_path):
    class PullsOneWay(PretrainTask):
        def __init__(self, *args):
            super().__init__(*args)
            self.net.direction = nn.Parameter(torch.ones(self.config.net.projection))

        def loss(self, batch):
            return -(self.net(batch) @ self.net.direction).mean()

    scan = prepare_scan(synthetic_arch(0, jaw=0, faces=MIN_FACES), small_net.graph, 1, 0)
    who, config = Split((scan.patient,), (), {}), PretrainConfig(net=small_net, steps=1, batch=1)
    file = read_model(pretrain([scan], who, tmp_path / "own", config, objective=PullsOneWay))
    assert file.kind == "pretrained" and not torch.equal(file.tensors["direction"], torch.ones(small_net.projection))
    count, missing = load_backbone(SegmentationNet(small_net), file)  # what else the objective learned is left out
    assert count > 0 and all(name.startswith("head.") for name in missing)


WRONG = [{"accumulate": 0}, {"steps": 0}, {"precision": "64"}, {"validate_every": 0}, {"batch": 0}, {"lr": -1.0},
         {"optimizer": "AdamW"}, {"clip": -1.0}, {"epochs": 0, "steps": None}]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_option_out_of_its_range_is_refused_before_anything_is_written(wrong, small_net, tmp_path):
    scan = prepare_scan(synthetic_arch(0, jaw=0, faces=MIN_FACES), small_net.graph, 1, 0)
    who = Split((scan.patient,), (), {})
    for train, config in ((pretrain, PretrainConfig(net=small_net)), (finetune, FinetuneConfig(net=small_net))):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            train([scan], who, tmp_path / "run", replace(config, **wrong))
        assert not (tmp_path / "run").exists()
