from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch.utils.data import Dataset
from torch_geometric.data import Data

from toothgraph.data import LabelledGraphs, Scan, StepLoader, StepSampler, ViewPairs, collate, collate_pairs
from toothgraph.errors import ShapeError
from toothgraph.graph.spec import GraphSpec
from toothgraph.seeding import batch_seed
from toothgraph.transforms import Augmentation, ViewOptions
from toothgraph.transforms.removal import Removal


def test_a_resumed_sampler_gives_the_tail_of_the_whole() -> None:
    whole = list(StepSampler(7, 3, seed=5, steps=20))
    assert len(whole) == 20
    for start in (0, 1, 7, 13, 20):
        assert list(StepSampler(7, 3, seed=5, steps=20, start=start)) == whole[start:]


@pytest.mark.parametrize("scans, batch_size", [(7, 3), (7, 7), (2, 5), (1, 4)])
def test_every_scan_comes_once_per_epoch(scans: int, batch_size: int) -> None:
    batches = list(StepSampler(scans, batch_size, seed=0, steps=4 * scans))
    assert all(len(batch) == batch_size for batch in batches)
    draws = Counter(draw for batch in batches for draw in batch)
    assert draws == Counter((epoch, scan) for epoch in range(4 * batch_size) for scan in range(scans))


def test_each_epoch_and_seed_has_an_order_of_its_own() -> None:
    def orders(seed: int) -> list[list[int]]:
        return [[scan for _, scan in batch] for batch in StepSampler(20, 20, seed=seed, steps=3)]

    assert len({tuple(order) for order in orders(0) + orders(1)}) == 6
    assert orders(0) == orders(0)


def view_pairs(scans: list[Scan], spec: GraphSpec) -> tuple[Dataset, Callable]:
    return ViewPairs(scans, 3, ViewOptions(radius=1.5)), collate_pairs


def labelled(scans: list[Scan], spec: GraphSpec) -> tuple[Dataset, Callable]:
    how = Augmentation(mirror=0.5, elastic=1.0)
    return LabelledGraphs(scans, spec, 3, how, Removal(0.5, 0.5, 0.5, 0.5), jaw_dropout=0.5), collate


@pytest.mark.parametrize("kind", [view_pairs, labelled])
def test_workers_change_nothing(scans: list[Scan], small_spec: GraphSpec, kind: Callable) -> None:
    dataset, join = kind(scans, small_spec)
    runs = []
    for workers in (0, 2):
        sampler = StepSampler(2, 2, seed=1, steps=4)
        loader = StepLoader(dataset, batch_sampler=sampler, num_workers=workers, collate_fn=join)
        runs.append(list(loader))
    for alone, helped in zip(*runs, strict=True):
        assert alone.keys() == helped.keys()
        assert alone.scan_id == helped.scan_id
        for key, value in alone.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, helped[key]), key


def test_labelled_graphs(scans: list[Scan], small_spec: GraphSpec) -> None:
    whole = LabelledGraphs(scans, small_spec, 0, Augmentation())
    cut = LabelledGraphs(scans, small_spec, 0, Augmentation(), Removal(0.0, 1.0, 0.0, 0.0), jaw_dropout=1)
    assert len(whole) == len(ViewPairs(scans, 0, ViewOptions())) == 2
    sizes = {variant.num_nodes for variant in scans[1].variants}
    seen = set()
    for epoch in range(6):
        graph, part = whole[epoch, 1], cut[epoch, 1]
        seen.add(graph.num_nodes)
        assert graph.jaw.tolist() == [1] and part.jaw.tolist() == [-1]
        assert 0.5 * min(sizes) - 1 <= part.num_nodes < max(sizes)
        assert len(part.y) == part.num_nodes
    assert seen == sizes  # both tessellations are used
    assert all(variant.jaw.tolist() == [1] for variant in scans[1].variants)  # the stored ones stay
    assert torch.equal(whole[3, 1].x, whole[3, 1].x)
    assert not torch.equal(whole[3, 1].pos[:9], whole[4, 1].pos[:9])


def test_every_sample_has_its_centre_as_origin(scans: list[Scan], small_spec: GraphSpec) -> None:
    for cuts in (
        Removal(0, 0, 0, 0),
        Removal(1, 0, 0, 0),
        Removal(0, 1, 0, 0),
        Removal(0, 0, 1, 0),
        Removal(0, 0, 0, 1),
    ):
        graph = LabelledGraphs(scans, small_spec, 0, cuts=cuts)[0, 0]
        centre = (graph.pos * graph.area[:, None]).sum(dim=0) / graph.area.sum()
        assert torch.allclose(centre, torch.zeros(3), atol=1e-3)
        assert torch.equal(graph.x[:, :3], graph.pos)


def test_every_batch_of_every_process_has_a_seed_of_its_own() -> None:
    seeds = {batch_seed(seed, batch, rank) for seed in range(3) for batch in range(50) for rank in range(4)}
    assert len(seeds) == 600 and all(0 <= seed < 1 << 64 for seed in seeds)
    assert batch_seed(0, 1, 2) == batch_seed(0, 1, 2)


@pytest.mark.parametrize("labelled_first", [True, False])
def test_scans_with_and_without_labels_in_one_batch(arch_graph: Data, labelled_first: bool) -> None:
    bare = arch_graph.clone()
    del bare.y
    pair = [arch_graph, bare] if labelled_first else [bare, arch_graph]
    batch = collate(pair)
    known = [batch.y[batch.batch == number] for number in (0, 1)]
    assert torch.equal(known[not labelled_first], arch_graph.y) and (known[labelled_first] == -1).all()
    assert "y" not in bare
    del bare.neighbor_index
    with pytest.raises(ShapeError, match=f"{bare.scan_id} without neighbor_index and y; add them"):
        collate(pair)
    for nothing in ([], None, [None]):
        with pytest.raises(ShapeError, match="a sequence of graphs, at least one"):
            collate(nothing)  # type: ignore[arg-type]


def test_an_index_that_is_no_draw_is_refused(scans: list[Scan], small_spec: GraphSpec) -> None:
    for dataset in (LabelledGraphs(scans, small_spec, 0), ViewPairs(scans, 0, ViewOptions())):
        with pytest.raises(ShapeError, match=r"a draw \(epoch, scan\) as index, as StepSampler gives it, got 0"):
            dataset[0]
