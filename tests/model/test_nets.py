"""Whole nets under the tools of torch and torch_geometric."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import summary

from toothgraph.data.loading import collate
from toothgraph.model import NetConfig, SegmentationNet


def test_summary(tiny: NetConfig, arch_graph: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table is made by a package that need not be here."""
    monkeypatch.setitem(sys.modules, "tabulate", SimpleNamespace(tabulate=lambda rows, **_: str(rows)))
    net = SegmentationNet(tiny).eval()
    table = summary(net, arch_graph, arch_graph.jaw, max_depth=2)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert f"[{arch_graph.num_nodes}, 33]" in table and f"{parameters:,}" in table
    assert "(pair)PairGeometryConv" in table and "(classify)Sequential" in table


@pytest.mark.slow
def test_a_net_can_be_compiled(tiny: NetConfig, graphs: list[Data]) -> None:
    torch._dynamo.reset()
    net = SegmentationNet(tiny).eval()
    compiled = torch.compile(net, backend="aot_eager", dynamic=True)
    for graph in graphs:
        batch = collate([graph])
        with torch.no_grad():
            torch.testing.assert_close(compiled(batch, batch.jaw), net(batch, batch.jaw), rtol=1e-4, atol=1e-4)
