from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toothgraph.graph.spec import GraphSpec
from toothgraph.nn.model import NetConfig, SegmentationNet


@pytest.fixture(scope="session")
def net() -> SegmentationNet:
    """A small net as it is born."""
    torch.manual_seed(0)
    widths = (8, 16, 16, 16)
    config = NetConfig(graph=GraphSpec(faces=400, k=6), widths=widths, head_widths=widths)
    return SegmentationNet(replace(config, pair_channels=4, embedding=16)).eval()
