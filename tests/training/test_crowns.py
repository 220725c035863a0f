from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.graph import face_graph
from toothgraph.model.crowns import CrownNet
from toothgraph.synthetic import synthetic_arch
from toothgraph.training import crowns
from toothgraph.training.crowns import counts_past_gap, occurring, smoothing_for, train_crowns
from toothgraph.transforms.crowns import crowns_of


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the crowns of a step, which is enough to learn from; runs of other tests take still fewer."""
    monkeypatch.setattr(crowns, "BATCH", 48)


@pytest.fixture(scope="module")
def graphs() -> list[Data]:
    return [face_graph(synthetic_arch(seed, jaw=seed % 2, faces=4000)) for seed in range(4)]


def right(net: CrownNet, graphs: list[Data], jaw: int) -> float:
    """The share of crowns that a net tells right."""
    found = crowns_of([graph for graph in graphs if int(graph.jaw) == jaw], np.random.default_rng(1))
    return (net.positions(found.points, jaw).argmax(dim=1) + 1 == found.place).float().mean().item()


def test_a_net_learns_and_is_the_same_every_time(graphs: list[Data]) -> None:
    state = torch.random.get_rng_state()
    net = train_crowns(graphs, 40, 0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert net is not None and not net.training
    assert right(net, graphs, 0) > 0.25 and right(net, graphs, 1) > 0.25  # by chance 0.06
    again = train_crowns(graphs, 3, 5), train_crowns(graphs, 3, 5)
    for one, other in zip(*(net.state_dict().values() for net in again if net), strict=True):
        assert torch.equal(one, other)


def test_a_net_that_is_adapted_unlearns_no_tooth(graphs: list[Data]) -> None:
    start = train_crowns(graphs, 40, 0)
    assert start is not None
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    without = [face_graph(synthetic_arch(9, jaw=0, faces=4000, without=[14, 24, 18, 28]))]
    net = train_crowns(without, 20, 0, start=start)
    assert net is not None and all(torch.equal(start.state_dict()[name], old) for name, old in before.items())
    found = crowns_of(graphs[:1], np.random.default_rng(1))
    first = found.points[(found.place == 4) | (found.place == 12)]
    kept, scratch = net.positions(first, 0), train_crowns(without, 20, 0)
    assert scratch is not None
    assert kept[:, [3, 11]].amax(dim=1).min() > scratch.positions(first, 0)[:, [3, 11]].amax(dim=1).max()


def test_fewer_scans_are_learned_with_more_smoothing() -> None:
    assert [smoothing_for(scans) for scans in (0, 1, 2, 3, 6, 96)] == pytest.approx([0.15, 0.15, 0.15, 0.1, 0.05, 0.05])


def test_it_stops_when_asked_and_needs_crowns(graphs: list[Data]) -> None:
    asked = iter([False, False, True])
    assert train_crowns(graphs, 10, 0, stop=lambda: next(asked)) is None
    empty = face_graph(synthetic_arch(0, jaw=0, faces=3000))
    empty.y = torch.zeros_like(empty.y)
    start = CrownNet()
    assert train_crowns([empty], 5, 0, start=start) is start
    assert train_crowns([empty], 5, 0) is not None


def test_which_teeth_occur() -> None:
    assert torch.nonzero(occurring(torch.tensor([1, 5, 10]))).flatten().tolist() == [0, 1, 4, 8, 9, 12]


def test_labels_that_count_past_a_gap_are_left_out(graphs: list[Data]) -> None:
    assert not any(map(counts_past_gap, graphs))
    mesh = synthetic_arch(0, jaw=0, faces=8000, without=[14, 24, 18, 28])
    labels = mesh.labels.copy()
    for right_number in (15, 16, 17, 25, 26, 27):
        labels[mesh.labels == right_number] = right_number - 1
    assert counts_past_gap(face_graph(mesh.with_labels(labels)))
