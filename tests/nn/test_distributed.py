"""Two processes with half of the rows each compute what one with all rows computes, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from toothgraph.nn.distributed import combined, gathered, summed, world

PROGRAM = '''
import torch
from torch import nn

from toothgraph.nn import FastEdgeConv
from toothgraph.nn.kernels.norm_mish import norm_mish_linear
from toothgraph.nn.kernels.batch_norm import NodeNorm
from toothgraph.nn.distributed import gathered, trained_together, world

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
with trained_together():
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


ALONE = """
import torch
from torch import nn
from torch_geometric.nn import EdgeConv

from toothgraph.nn import FastEdgeConv

rank, file = int(given[0]), given[1]
torch.manual_seed(rank)
torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
conv = FastEdgeConv(3, 4, "batch", "relu")
same, x = conv.to_pyg(), torch.randn(20, 3)
for count in (50, 40 * rank, 30)[: 2 + rank]:  # one process has no edges, and the other one goes on alone
    edges = torch.randint(0, 20, (2, count))
    if count:
        torch.testing.assert_close(conv(x, edges), same(x, edges))
    else:
        assert not conv(x, edges).any()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
print("the same")
"""

NO_EDGES = """
from contextlib import nullcontext

import torch

from toothgraph.nn import FastEdgeConv
from toothgraph.nn.distributed import trained_together

rank, file, asked = int(given[0]), given[1], given[2]
torch.manual_seed(0)
x, edges = torch.randn(20, 3), torch.randint(0, 20, (2, 50))
conv = FastEdgeConv(3, 4, "batch", "relu")
if asked == "SyncBatchNorm":
    conv = torch.nn.SyncBatchNorm.convert_sync_batchnorm(conv)
torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
with trained_together() if asked == "together" else nullcontext():
    out = conv(x, edges[:, : 0 if rank else 50])
    out.square().sum().backward()
mean, grad = conv.norm.running_mean.clone(), conv.lin.weight.grad.clone()
torch.distributed.all_reduce(grad)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
conv.norm.reset_running_stats()
conv.zero_grad()
whole = conv(x, edges)
whole.square().sum().backward()
torch.testing.assert_close(out, whole * (1 - rank))
torch.testing.assert_close(mean, conv.norm.running_mean)
torch.testing.assert_close(grad, conv.lin.weight.grad)
print("the same")
"""

PAPER = """
import torch
from torch_geometric.data import Batch, Data

from toothgraph.model.paper import PaperBackbone, PaperHead
from toothgraph.nn.distributed import trained_together

rank, file, bf16 = int(given[0]), given[1], given[2] == "True"
torch.manual_seed(0)
net, head = PaperBackbone(k=6), PaperHead(dropout=0.0)
scans = [Data(x=torch.randn(n, 15) + n / 10, num_nodes=n) for n in (40, 50)]
norms = [norm for part in (net, head) for norm in part.modules() if isinstance(norm, torch.nn.BatchNorm1d)]
for norm in norms:
    norm.momentum = 1.0


def outputs(which):
    batch = Batch.from_data_list([scans[k] for k in which])
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return head(net(batch), batch, torch.zeros(len(which), dtype=torch.long))


torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
with trained_together():
    own = outputs([rank]).detach()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
means = [norm.running_mean.clone() for norm in norms]
for norm in norms:
    norm.reset_running_stats()
whole = outputs([0, 1]).split([40, 50])[rank].detach()
exact = {} if not bf16 else {"rtol": 0.05, "atol": 0.05}
if not bf16:
    torch.testing.assert_close(own, whole, rtol=1e-3, atol=1e-3)
for mean, norm in zip(means[:3], norms):  # those before the first dynamic graph
    torch.testing.assert_close(mean, norm.running_mean, **exact)
print("the same")
"""


@pytest.mark.parametrize(
    ("code", "more"),
    [(ALONE, ()), (NO_EDGES, ("together",)), (NO_EDGES, ("SyncBatchNorm",)), (PAPER, (False,)), (PAPER, (True,))],
    ids=["alone", "no edges", "no edges, SyncBatchNorm", "paper", "paper in bf16"],
)  # fmt: skip
def test_two_processes(code: str, more: tuple[object, ...], tmp_path: Path, apart: Callable[..., BaseProcess]) -> None:
    said = [tmp_path / f"said-{rank}" for rank in range(2)]
    both = [
        apart(rank, tmp_path / "meet", *more, code=code, out=said[rank], err=f"{said[rank]}.err") for rank in range(2)
    ]
    for rank, process in enumerate(both):
        process.join(300)
        assert said[rank].read_text().strip() == "the same", Path(f"{said[rank]}.err").read_text()


def test_alone_nothing_is_done() -> None:
    x = torch.randn(4, 2)
    assert world() == 1 and summed(x) is x and gathered(x) is x
    mean, var, count = combined(x[0], x[1], 4)
    assert torch.equal(mean, x[0]) and torch.equal(var, x[1]) and count == 4
