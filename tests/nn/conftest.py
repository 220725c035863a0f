from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.data import Data

from toothgraph.graph import GraphSpec, scan_graph
from toothgraph.mesh.mesh import Mesh
from toothgraph.nn import NetConfig


@pytest.fixture(scope="session")
def tiny(small_spec: GraphSpec) -> NetConfig:
    """A geometry net of few channels for graphs of ``small_spec``."""
    return NetConfig(
        graph=small_spec, widths=(8, 8, 12, 12), head_widths=(8, 8, 12, 12), pair_channels=4, embedding=10,
        projection=6, dynamic_k=5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def graphs(arch: Mesh, arch_graph: Data, small_spec: GraphSpec) -> list[Data]:
    """Two graphs of different size. Shared: do not change them."""
    rng = np.random.default_rng(5)
    return [arch_graph, scan_graph(arch, GraphSpec(faces=350, k=small_spec.k), rng)[0]]


@pytest.fixture
def settle():
    """Makes a net ready for comparisons: random norms and statistics, eval mode."""

    def settle(net: nn.Module) -> nn.Module:
        torch.manual_seed(0)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2)
                nn.init.normal_(module.weight, mean=1, std=0.3)
                nn.init.normal_(module.bias, std=0.3)
        return net.eval()

    return settle
