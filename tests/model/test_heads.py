from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from toothgraph.model import NetConfig, SegmentationNet, restrict_to_jaw
from toothgraph.model.jaws import join_jaw


def test_join_jaw_by_hand() -> None:
    positions = torch.full((2, 17), 0.5 / 16)
    positions[:, 0] = 0.5
    positions[1] = torch.tensor([0.2, 0.8] + [0.0] * 15)
    jaw = torch.tensor([[0.1, 0.9], [0.75, 0.25]])
    out = join_jaw(positions.log(), jaw.log()).exp()
    expected = torch.zeros(2, 33)
    expected[0, 0], expected[0, 1:17], expected[0, 17:] = 0.5, 0.1 * 0.5 / 16, 0.9 * 0.5 / 16
    expected[1, 0], expected[1, 1], expected[1, 17] = 0.2, 0.75 * 0.8, 0.25 * 0.8
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("jaw, others", [(0, range(17, 33)), (1, range(1, 17))])
def test_restricting_to_a_jaw(jaw: int, others: range) -> None:
    torch.manual_seed(0)
    log_prob = torch.randn(9, 33).log_softmax(dim=1)
    out = restrict_to_jaw(log_prob, jaw)
    kept = [index for index in range(33) if index not in others]
    assert (out[:, list(others)] == float("-inf")).all()
    torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(9))
    own, other = log_prob.exp()[:, kept[1:]], log_prob.exp()[:, list(others)]
    weights = own + other * other.sum() / (own.sum() + other.sum())
    torch.testing.assert_close((out[:, kept[1:]] - out[:, :1]).exp(), weights / log_prob.exp()[:, :1])
    assert not set(out.argmax(dim=1).tolist()) & set(others)


def test_the_other_jaw_counts_as_far_as_a_scan_is_mistaken_for_it() -> None:
    prob = torch.full((1000, 33), 1e-9)
    prob[:, 0], prob[:, 1] = 0.1, 0.9  # tooth 11
    prob[0, 0], prob[0, 1], prob[0, 17] = 0.4, 0.1, 0.5  # one node looks like tooth 31
    as_upper, as_lower = (restrict_to_jaw(prob.log(), jaw).argmax(dim=1) for jaw in (0, 1))
    assert as_upper.tolist() == [0] + 999 * [1]  # where the net sees another jaw than on the scan, no tooth
    assert as_lower.tolist() == 1000 * [17]  # a net that knows the upper jaw alone
    none = torch.zeros(5, 33).log_softmax(dim=1)
    none[:, 1:] = float("-inf")
    assert restrict_to_jaw(none, 1).argmax(dim=1).tolist() == 5 * [0] and restrict_to_jaw(none[:0], 1).shape == (0, 33)


def test_an_unknown_jaw_restricts_nothing() -> None:
    log_prob = torch.randn(4, 33).log_softmax(dim=1)
    assert torch.equal(restrict_to_jaw(log_prob, -1), log_prob)


@pytest.mark.parametrize("kind", ["geometry", "paper"])
def test_segmentation_gives_log_probabilities_of_33_classes(
    graphs: list[Data], tiny: NetConfig, settle: Callable[[nn.Module], nn.Module], kind: str
) -> None:
    batch = Batch.from_data_list(graphs)
    net = settle(SegmentationNet(NetConfig(**{**vars(tiny), "kind": kind})))
    with torch.no_grad():
        unknown = net(batch)
        assert torch.equal(unknown, net(batch, torch.tensor([-1, -1])))
        mixed = net(batch, torch.tensor([-1, 1]))
    for out in (unknown, mixed):
        assert out.shape == (batch.num_nodes, 33)
        torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(len(out)))
    first = batch.batch == 0
    torch.testing.assert_close(mixed[first], unknown[first])
    assert not torch.allclose(mixed[~first], unknown[~first])


@pytest.mark.parametrize("kind", ["geometry", "paper"])
def test_half_precision_still_gives_a_distribution(graphs: list[Data], tiny: NetConfig, kind: str) -> None:
    net = SegmentationNet(NetConfig(**{**vars(tiny), "kind": kind}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(Batch.from_data_list(graphs))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(len(out)))


def test_all_classes_at_once_and_no_context(
    graphs: list[Data], tiny: NetConfig, settle: Callable[[nn.Module], nn.Module]
) -> None:
    batch = Batch.from_data_list(graphs)
    for change in ({"classes": "all"}, {"context": False}, {"norm": "layer"}):
        net = settle(SegmentationNet(NetConfig(**{**vars(tiny), **change})))
        with torch.no_grad():
            out, told = net(batch), net(batch, torch.tensor([0, 1]))
        assert out.shape == (batch.num_nodes, 33) and not torch.allclose(out, told)
        torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(len(out)))
    assert SegmentationNet(NetConfig(**{**vars(tiny), "classes": "all"})).head.jaw is None
    assert SegmentationNet(NetConfig(**{**vars(tiny), "context": False})).head.pyramid.context is None
    layered = SegmentationNet(NetConfig(**{**vars(tiny), "norm": "layer"}))
    assert not any(isinstance(module, nn.BatchNorm1d) for module in layered.modules())
