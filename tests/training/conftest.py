from __future__ import annotations

from dataclasses import replace

import pytest

from toothgraph.graph.spec import GraphSpec
from toothgraph.nn.model import NetConfig


@pytest.fixture(scope="session")
def small_net() -> NetConfig:
    widths = (8, 16, 16, 16)
    config = NetConfig(graph=GraphSpec(faces=300, k=6), widths=widths, head_widths=widths)
    return replace(config, pair_channels=4, embedding=16)
