from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import EdgeConv

from toothgraph.model import PaperBackbone, PaperHead
from toothgraph.nn import knn_edges
from toothgraph.nn.dgcnn import MLPEdgeConv, TransformNet
from toothgraph.nn.kernels.norm_mish import norm_mish_linear

SIZES = {"fixed": [12, 8], "ragged": [12, 3]}  # nodes per scan; a scan of three has no four neighbours


def outcome(net: nn.Module, x: Tensor, edges: Tensor, training: bool) -> dict[str, Tensor]:
    """Value, all gradients and buffers of a forward and backward pass, by name."""
    net = copy.deepcopy(net).train(training)
    x = x.clone().requires_grad_()
    out = net(x, edges)
    (out * torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view_as(out)).sum().backward()
    grads = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"out": out, "x": x.grad, **grads, **{name: b.clone() for name, b in net.named_buffers()}}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize("channels", [(5, 7), (5, 7, 6, 4)])
def test_equals_pyg(channels: tuple[int, ...], recompute: bool, training: bool, sizes: str, settle) -> None:
    conv = settle(MLPEdgeConv(*channels, k=4, recompute=recompute)).double()
    plain = EdgeConv(copy.deepcopy(conv.nn), aggr="max")  # which draws new weights
    plain.load_state_dict(conv.state_dict())
    batch = torch.arange(2).repeat_interleave(torch.tensor(SIZES[sizes]))
    x = torch.randn(len(batch), channels[0]).double()
    edges = knn_edges(x, 4, batch)
    assert (edges.shape[1] == 4 * len(x)) == (sizes == "fixed")
    ours, theirs = outcome(conv, x, edges, training), outcome(plain, x, edges, training)
    assert ours.keys() == theirs.keys()  # a model file holds the same tensors, whichever wrote it
    assert len(ours) == 2 + 3 * (len(channels) - 1) * 2
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-10, atol=1e-12, msg=name)
    if training:
        assert int(ours["nn.0.1.num_batches_tracked"]) == 1
        assert not torch.equal(ours["nn.0.1.running_mean"], conv.nn[0][1].running_mean)


def test_recomputing_keeps_no_edges() -> None:
    kept = {}
    for recompute in (False, True):
        conv = MLPEdgeConv(5, 7, 7, k=4, recompute=recompute)
        x, sizes = torch.randn(30, 5), []
        edges = knn_edges(x, 4, torch.zeros(30, dtype=torch.long))

        def note(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel() if tensor.is_floating_point() else 0)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            conv(x, edges).sum()
        kept[recompute] = max(sizes, default=0)
    assert kept[False] == 30 * 4 * 7 and kept[True] <= 30 * 5  # x itself


def test_products_stay_float32_under_autocast() -> None:
    torch.manual_seed(0)
    conv = MLPEdgeConv(3, 8, k=4).eval()  # one layer: no later product either
    x = torch.randn(20, 3) * 0.01 + 50  # differences that bfloat16 could not rebuild
    edges = knn_edges(x, 4, torch.zeros(20, dtype=torch.long))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = conv(x, edges)
    torch.testing.assert_close(half, conv(x, edges))


@pytest.mark.parametrize("block", [8, 1 << 17])  # numbers: a row at a time, or all at once
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 2e-3), (torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_mish_over_its_whole_range(
    dtype: torch.dtype, bound: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toothgraph.nn.kernels.norm_mish._CPU_BLOCK", block)
    norm = torch.nn.BatchNorm1d(5, eps=0.0).to(dtype).eval()  # the identity
    large = 6e4 if dtype == torch.float16 else 1e30
    values = torch.cat([torch.linspace(-120, 120, 200), torch.linspace(-3, 3, 200), torch.linspace(19.9, 20.1, 20)])
    z = torch.cat([values, values.new_tensor([1e4, -1e4, large, -large, 0.0])]).view(-1, 5).to(dtype).requires_grad_()
    exact = z.detach().double().requires_grad_()
    ours, reference = norm_mish_linear(z, norm, None), torch.nn.functional.mish(exact)
    ours.sum().backward()
    reference.sum().backward()
    torch.testing.assert_close(ours.double(), reference, rtol=bound, atol=bound)
    torch.testing.assert_close(z.grad.double(), exact.grad, rtol=bound, atol=bound)


def test_backbone_gives_global_and_local_features(graphs: list[Data]) -> None:
    batch = Batch.from_data_list(graphs)
    out = PaperBackbone(k=4)(batch)
    assert out.shape == (batch.num_nodes, 1216)
    pooled = out[:, :1024]
    for scan in (0, 1):
        own = pooled[batch.batch == scan]
        assert torch.equal(own, own[:1].expand_as(own))
    assert not torch.equal(pooled[0], pooled[-1])


def test_transform_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    x, batch = torch.randn(20, 15), torch.tensor([0] * 12 + [1] * 8)
    matrix = TransformNet(15, k=3)(x, knn_edges(x, 3, batch), batch, 2)
    assert torch.equal(matrix, torch.eye(15).expand(2, 15, 15))


def test_head_shapes_and_unknown_jaw() -> None:
    torch.manual_seed(0)
    head = PaperHead().eval()
    data = Data(batch=torch.tensor([0, 0, 1, 2]))
    embedding = torch.randn(1, 1216).expand(4, 1216)
    out = head(embedding, data, torch.tensor([0, 1, -1]))
    assert out.shape == (4, 33)
    torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(4))
    assert torch.equal(out[0], out[1])
    assert not torch.equal(out[0], out[2])  # the jaw is told
    seen = []
    head.jaw.register_forward_hook(lambda module, inputs, result: seen.append(inputs[0]))
    head(embedding, data, torch.tensor([0, 1, -1]))
    assert seen[0].tolist() == [[1, 0], [0, 1], [0, 0]]
