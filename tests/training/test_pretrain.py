from __future__ import annotations

import torch
from torch import nn

from toothgraph.data import Split, prepare_scan
from toothgraph.model.file import load_backbone, read_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.synthetic import MIN_FACES, synthetic_arch
from toothgraph.training.config import PretrainConfig
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
