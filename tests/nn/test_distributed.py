"""Two processes with half of the rows each compute what one with all rows computes, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from toothgraph.nn.distributed import combined, gathered, summed, world

PROGRAM = '''
import torch
from torch import nn

from toothgraph.nn import FastEdgeConv
from toothgraph.nn.kernels.norm_mish import norm_mish_linear
from toothgraph.nn.pyramid import NodeNorm
from toothgraph.nn.distributed import gathered, world

rank, file = int(given[0]), given[1]
torch.manual_seed(0)
x = torch.randn(30, 6, dtype=torch.float64)
tables = [torch.randint(0, n, (4, n)) for n in (10, 20)]
parts = [slice(0, 10), slice(10, 30)]
net = nn.ModuleList([FastEdgeConv(6, 5, norm="batch"), NodeNorm(5), nn.BatchNorm1d(5), nn.Linear(5, 3, bias=False)])
net.double().train()


def outputs(which):
    """What the layers say of the rows of some graphs, and the sum of all squares of the last."""
    rows = torch.cat([x[parts[k]] for k in which])
    first = [0, len(x[parts[which[0]]])]
    table = torch.cat([tables[k] + start for k, start in zip(which, first)], dim=1)
    out = net[1](net[0](rows, neighbor_index=table))
    return norm_mish_linear(out, net[2], net[3])


torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
own = outputs([rank])
loss = (own * torch.arange(3)).square().mean() + gathered(own)[5:25].pow(3).sum() / world()
loss.backward()
found = [own.detach()] + [p.grad for p in net.parameters()] + [b.double() for b in net.buffers()]
for p in net.parameters():
    torch.distributed.all_reduce(p.grad)
torch.distributed.barrier()
torch.distributed.destroy_process_group()

state = {name: value.clone() for name, value in net.state_dict().items() if "running" in name or "tracked" in name}
grads = [p.grad.clone() for p in net.parameters()]
for module in net:
    for norm in [module.norm] if isinstance(module, FastEdgeConv) else [module]:
        if isinstance(norm, nn.BatchNorm1d):
            norm.reset_running_stats()
net.zero_grad()
whole = outputs([0, 1])
torch.testing.assert_close(own.detach(), whole.detach()[parts[rank]])
losses = [(whole[part] * torch.arange(3)).square().mean() for part in parts]
(losses[0] + losses[1] + whole[5:25].pow(3).sum()).backward()
for p, grad in zip(net.parameters(), grads):
    torch.testing.assert_close(grad, p.grad)
for name, value in state.items():
    torch.testing.assert_close(value, net.state_dict()[name])
print("the same")
'''


def test_two_processes_are_one(tmp_path: Path, apart: Callable[..., BaseProcess]) -> None:
    said = [tmp_path / f"said-{rank}" for rank in range(2)]
    both = [apart(rank, tmp_path / "meet", code=PROGRAM, out=said[rank], err=f"{said[rank]}.err") for rank in range(2)]
    for rank, process in enumerate(both):
        process.join(300)
        assert said[rank].read_text().strip() == "the same", Path(f"{said[rank]}.err").read_text()


def test_alone_nothing_is_done() -> None:
    x = torch.randn(4, 2)
    assert world() == 1 and summed(x) is x and gathered(x) is x
    mean, var, count = combined(x[0], x[1], 4)
    assert torch.equal(mean, x[0]) and torch.equal(var, x[1]) and count == 4
