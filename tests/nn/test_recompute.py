from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from toothgraph.model import NetConfig, SegmentationNet


def passed(config: NetConfig, batch: Batch) -> tuple[nn.Module, dict[str, Tensor], int]:
    """The net after a forward and backward pass; gradients and buffers by name; bytes kept in between."""
    torch.manual_seed(0)
    net = SegmentationNet(config).double()
    known = {tensor.data_ptr() for tensor in (*net.parameters(), *batch.to_dict().values()) if torch.is_tensor(tensor)}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in known:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = net(batch, batch.jaw)
    out.square().mean().backward()
    grads = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return net, {"out": out, **grads, **dict(net.named_buffers())}, sum(kept.values())


@pytest.mark.parametrize("kind", ["geometry", "paper"])
def test_recomputing_changes_nothing_but_what_is_kept(kind: str, graphs: list[Data], tiny: NetConfig) -> None:
    batch = Batch.from_data_list(graphs)
    for name in ("x", "pos", "normal", "area"):
        batch[name] = batch[name].double()
    config = replace(tiny, kind=kind, dynamic_k=12, dropout=0.0)
    _, kept, size = passed(config, batch)
    net, again, less = passed(replace(config, recompute=True), batch)
    assert kept.keys() == again.keys()
    for name, value in kept.items():
        torch.testing.assert_close(again[name], value, rtol=1e-9, atol=1e-12, msg=name)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]
    assert all(int(norm.num_batches_tracked) == 1 for norm in norms) and norms  # once, not twice
    assert less < 0.7 * size


def test_several_backward_passes(graphs: list[Data], tiny: NetConfig) -> None:
    """As for two losses of one output, and for a penalty on a gradient."""
    batch = Batch.from_data_list(graphs)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        net = SegmentationNet(replace(tiny, dropout=0.0, recompute=recompute))
        out = net(batch, batch.jaw)
        first = torch.autograd.grad(out.square().mean(), [*net.parameters()], retain_graph=True, allow_unused=True)
        out.mean().backward()
        found.append(([*first, *(p.grad for p in net.parameters())], dict(net.named_buffers())))
    (expected, buffers), (again, others) = found
    for one, other in zip(expected, again, strict=True):
        torch.testing.assert_close(other, one)
    for name, kept in buffers.items():
        torch.testing.assert_close(others[name], kept)
