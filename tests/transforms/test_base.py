"""The classes do what training does, bit for bit, and fit into torch_geometric's chains and loaders."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from scipy.spatial.transform import Rotation
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from toothgraph.data import LabelledGraphs, Scan, ViewPairs
from toothgraph.errors import ConfigError, ShapeError
from toothgraph.fdi import class_to_fdi
from toothgraph.graph import GraphSpec
from toothgraph.graph.build import face_corners, with_corners
from toothgraph.seeding import sample_rng
from toothgraph.transforms import (
    Augment,
    Augmentation,
    CentreSurface,
    CloseGap,
    MirrorArch,
    NeighborTables,
    RandomRotate,
    Removal,
    RemoveParts,
    RemoveTeeth,
    Subgraph,
    TwoViews,
    ViewOptions,
    Warps,
    WarpTeeth,
    augment,
    centred,
    close_gap,
    crop,
    remove_parts,
    two_views,
    warp_teeth,
    without,
    without_teeth,
)
from toothgraph.transforms.augment import STILL
from toothgraph.transforms.base import RandomTransform

HOW = Augmentation(rotation=15, elastic=0.5, mirror=0.5)
CUTS = Removal(extraction=0.5, region=0.7, trim=0.7, missing=0.7)
WARPS = Warps(prepared=0.7, scan_bodies=0.7, resized=0.7, brackets=0.7)


def same(a: Data, b: Data) -> bool:
    """Whether two graphs have the same fields, bit for bit."""
    if set(a.keys()) != set(b.keys()):
        return False
    return all(torch.equal(v, b[k]) if isinstance(v, torch.Tensor) else v == b[k] for k, v in a.to_dict().items())


def teeth(graph: Data) -> torch.Tensor:
    return graph.y > 0


def pairs(spec: GraphSpec) -> list[tuple[Any, Callable[[Data, np.random.Generator], Data]]]:
    """Transforms, and the functions that training calls."""
    return [
        (lambda rng: Augment(HOW, rng=rng), lambda graph, rng: augment(graph, rng, HOW)),
        (lambda rng: MirrorArch(p=0.5, rng=rng), lambda graph, rng: augment(graph, rng, replace(STILL, mirror=0.5))),
        (lambda rng: RemoveTeeth(rng=rng), without_teeth),
        (lambda rng: RemoveTeeth((11, 21)), lambda graph, rng: without(graph, [11, 21])),
        (lambda rng: RemoveParts(CUTS, spec, rng=rng), lambda graph, rng: remove_parts(graph, rng, CUTS, spec)),
        (lambda rng: CloseGap(spec, rng=rng), lambda graph, rng: close_gap(graph, rng, spec)),
        (lambda rng: WarpTeeth(WARPS, spec, rng=rng), lambda graph, rng: warp_teeth(graph, rng, WARPS, spec)),
        (lambda rng: CentreSurface(), lambda graph, rng: centred(graph)),
        (lambda rng: Subgraph(teeth), lambda graph, rng: crop(graph, teeth(graph).numpy())),
    ]  # fmt: skip


@pytest.mark.parametrize("which", range(9))
def test_each_is_the_function_that_training_calls(scans: list[Scan], small_spec: GraphSpec, which: int) -> None:
    transform, function = pairs(small_spec)[which]
    graph = scans[0].variants[0]
    before, changed = graph.clone(), 0
    for seed in range(4):
        ours = transform(np.random.default_rng(seed))(graph)
        assert same(ours, function(graph, np.random.default_rng(seed)))
        changed += not same(ours, graph)
    assert changed and same(graph, before)  # something was done, to a copy


# They move nodes, so that tables are computed again; each takes their specification.
MOVERS: list[Callable[..., Any]] = [
    CloseGap,
    lambda spec=None, rng=None: WarpTeeth(WARPS, spec, rng=rng),
    lambda spec=None, rng=None: RemoveParts(CUTS, spec, rng=rng),
]

FLOATS = ("x", "pos", "normal", "area")


@pytest.mark.parametrize("which", range(10))
def test_a_graph_of_doubles_stays_one(arch_graph: Data, small_spec: GraphSpec, which: int) -> None:
    transform = [*(one for one, _ in pairs(small_spec)), lambda rng: TwoViews(rng=rng)][which]
    double = arch_graph.clone().apply(torch.Tensor.double, *FLOATS)
    for seed in range(2):
        single, ours = (transform(np.random.default_rng(seed))(graph) for graph in (arch_graph, double))
        graphs = [each if isinstance(each, tuple) else (each,) for each in (single, ours)]
        for one, other in zip(*graphs, strict=True):
            for name in FLOATS:
                assert other[name].dtype == torch.float64
                torch.testing.assert_close(one[name].double(), other[name], atol=1e-4, rtol=1e-4)


def test_yes_and_no_are_no_classes(arch_graph: Data, small_spec: GraphSpec) -> None:
    graph = arch_graph.clone()
    graph.y = graph.y > 0
    for transform in (RemoveTeeth(), RemoveParts(CUTS, small_spec), CloseGap(small_spec), WarpTeeth(WARPS, small_spec)):
        with pytest.raises(ShapeError, match=r"expected y as class indices, .* got booleans"):
            transform(graph)
    assert RandomRotate(20)(graph).y.dtype == torch.bool  # it does not read them


def test_two_views_are_those_of_pre_training(scan: Scan) -> None:
    options = ViewOptions(quota=300)
    seed = int(np.random.default_rng(3).integers(2**31))
    theirs = ViewPairs([scan], seed, options)[0, 0]
    for given in (list(scan.variants), tuple(scan.variants)):
        ours = TwoViews(options, rng=3)(given)
        assert all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    one = TwoViews(options, rng=3)(scan.variants[0])
    assert all(
        same(a, b) for a, b in zip(one, two_views([scan.variants[0]], seed, 0, scan.scan_id, options), strict=True)
    )
    for wrong in ([], "graph", Batch.from_data_list(scan.variants[:1])):
        with pytest.raises(ShapeError, match="expected"):
            TwoViews()(wrong)


def test_the_chain_of_fine_tuning(scans: list[Scan], small_spec: GraphSpec) -> None:
    """What LabelledGraphs gives is a chain of three, with one generator."""
    for epoch in range(5):
        rng = sample_rng(0, epoch, scans[1].scan_id)
        graph = scans[1].variants[int(rng.integers(2))]
        chain = T.Compose([RemoveParts(CUTS, small_spec, rng=rng), CentreSurface(), Augment(HOW, rng=rng)])
        assert same(chain(graph), LabelledGraphs(scans, small_spec, 0, HOW, CUTS)[epoch, 1])


def test_they_compose_with_those_of_torch_geometric(arch_graph: Data, small_spec: GraphSpec) -> None:
    chain = T.Compose(
        [Subgraph(teeth), RandomRotate(20), NeighborTables(small_spec), TwoViews(), T.LocalDegreeProfile()]
    )
    first, second = chain(arch_graph)
    assert first.x.shape[1] == second.x.shape[1] == 20 and first.neighbor_index.max() < first.num_nodes
    assert len(first.match_index) == len(second.match_index) > 50
    assert "Subgraph(keep=teeth)" in repr(chain) and "RandomRotate(rng=None, degrees=20)" in repr(chain)


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_draw_anew_in_each_worker_and_epoch(arch_graph: Data, workers: int) -> None:
    graph = Subgraph(teeth)(arch_graph)
    transform = T.Compose([RandomRotate(), Augment(Augmentation(jitter=0.1))])
    loader = DataLoader(Transformed([graph] * 4, transform), batch_size=2, num_workers=workers)
    torch.manual_seed(0)
    epochs = [[each for batch in loader for each in batch.to_data_list()] for _ in range(2)]
    drawn = [graph.pos[0].tolist() for epoch in epochs for graph in epoch]
    assert len({tuple(pos) for pos in drawn}) == 8
    torch.manual_seed(0)
    assert [graph.pos[0].tolist() for batch in loader for graph in batch.to_data_list()] == drawn[:4]


def test_pairs_batch_as_two_batches(scan: Scan) -> None:
    data = Transformed(list(scan.variants[:2]), TwoViews(ViewOptions(quota=200)))
    first, second = next(iter(DataLoader(data, batch_size=2)))
    assert first.num_graphs == second.num_graphs == 2
    assert torch.equal(first.match_pos, second.match_pos)
    assert first.match_index.max() < first.num_nodes


def test_a_generator_of_its_own_is_refused_in_a_worker(arch_graph: Data) -> None:
    loader = DataLoader(Transformed([arch_graph] * 2, RemoveTeeth(rng=0)), batch_size=2, num_workers=1)
    with pytest.raises(ConfigError, match="each worker of a DataLoader would draw the same"):
        next(iter(loader))


def test_a_seed_is_a_sequence_and_what_is_none_is_refused(arch_graph: Data) -> None:
    one, other = RemoveTeeth(rng=5), RemoveTeeth(rng=5)
    for transform in (one, other):
        assert not same(transform(arch_graph), transform(arch_graph))
    again = RemoveTeeth(rng=5)
    assert same(again(arch_graph), RemoveTeeth(rng=np.random.default_rng(5))(arch_graph))
    for wrong in ("0", True, -1, np.random.RandomState(0)):
        with pytest.raises(ShapeError, match=r"a seed of at least 0, or what numpy\.random\.default_rng"):
            RemoveTeeth(rng=wrong)


def test_each_graph_of_a_batch_is_taken_alone(arch_graph: Data) -> None:
    batch = Batch.from_data_list([arch_graph, arch_graph])
    out = RemoveTeeth((11,))(batch)
    assert out.num_graphs == 2
    for graph in out.to_data_list():
        assert same(graph, without(arch_graph, [11]))


def test_repr_tells_all_parameters_and_they_can_be_sent_to_a_worker(small_spec: GraphSpec) -> None:
    for transform, text in (
        (RemoveTeeth((11, 12), rng=3), "RemoveTeeth(rng=3, teeth=(11, 12))"),
        (MirrorArch(), "MirrorArch(rng=None, p=0.5, exchange=True)"),
        (CloseGap(), "CloseGap(rng=None, spec=None)"),
        (WarpTeeth(WARPS), f"WarpTeeth(rng=None, how={WARPS}, spec=None)"),
        (CentreSurface(), "CentreSurface()"),
        (NeighborTables(small_spec), f"NeighborTables(spec={small_spec})"),
        (TwoViews(), f"TwoViews(rng=None, options={ViewOptions()}, exchange=True)"),
    ):
        assert repr(transform) == repr(pickle.loads(pickle.dumps(transform))) == text
    assert issubclass(TwoViews, RandomTransform) and issubclass(TwoViews, T.BaseTransform)


def test_a_mirror_image_exchanges_quadrants_where_labels_are_teeth(arch_graph: Data) -> None:
    out = MirrorArch(p=1)(arch_graph)
    ours, theirs = class_to_fdi(out.y.numpy()), class_to_fdi(arch_graph.y.numpy())
    assert np.array_equal(ours, np.select([theirs // 10 == 1, theirs // 10 == 2], [theirs + 10, theirs - 10], theirs))
    torch.testing.assert_close(out.pos, arch_graph.pos * torch.tensor([1.0, 1, -1]))
    torch.testing.assert_close(out.normal, arch_graph.normal * torch.tensor([1.0, 1, -1]), atol=1e-3, rtol=0)
    gum = Subgraph(lambda graph: graph.y >= 0)(arch_graph)
    gum.y = (gum.y > 0).long()
    assert torch.equal(MirrorArch(p=1, exchange=False)(gum).y, gum.y)
    assert "y" in gum and MirrorArch(p=1)(gum).y.max() == 9  # a tooth of the other side
    assert same(MirrorArch(p=0)(arch_graph), augment(arch_graph, np.random.default_rng(0), STILL))


@pytest.mark.parametrize("own", ["classes", "of the scan", "heat", "names"])
def test_labels_of_ones_own_stay_as_they_are_where_nothing_is_exchanged(arch_graph: Data, own: str) -> None:
    graph = arch_graph.clone()
    graph.y = {
        "classes": (graph.y > 0).long() + (graph.y == 3).long(),  # gum, tooth and one more
        "of the scan": torch.tensor([2]),
        "heat": graph.pos.norm(dim=1),
        "names": ["a face"] * graph.num_nodes,
    }[own]
    mirror = Augmentation(mirror=1.0)
    options = ViewOptions(min_share=1.0, max_share=1.0, radius=1.5, augmentation=mirror)

    def kept(out: Data) -> bool:
        return torch.equal(out.y, graph.y) if isinstance(graph.y, torch.Tensor) else out.y == graph.y

    assert kept(Augment(mirror, exchange=False)(graph)) and kept(MirrorArch(p=1, exchange=False)(graph))
    assert all(map(kept, TwoViews(options, exchange=False)(graph)))
    assert all(map(kept, TwoViews(replace(options, augmentation=Augmentation()))(graph)))  # no mirror image by default
    if own == "classes":  # they look like classes of teeth, and become those of the other side
        assert Augment(mirror)(graph).y.max() == TwoViews(options)(graph)[0].y.max() > 2
    else:
        for call in (MirrorArch(), Augment(mirror), TwoViews(options)):
            with pytest.raises(ShapeError, match=r"y as classes of teeth \[N = \d+\].* give exchange=False"):
                call(graph)


def test_labels_of_ones_own_that_contradict_the_jaw_are_told(arch_graph: Data) -> None:
    """Warnings are errors here, so that labels of teeth give none."""
    own = arch_graph.clone()
    own.y, own.jaw = (own.y > 0).long(), torch.tensor([1])
    options = ViewOptions(radius=1.5, augmentation=Augmentation(mirror=0.5))
    for made in (MirrorArch, partial(Augment, options.augmentation), partial(TwoViews, options)):
        made()(arch_graph)
        with pytest.warns(UserWarning, match="of lower teeth, .* found those of upper teeth; .* give exchange=False"):
            made()(own)
        made(exchange=False)(own)
    spec = GraphSpec()
    for made in (RemoveTeeth, partial(RemoveTeeth, (11,)), partial(RemoveParts, Removal(missing=0.5)),
                 partial(CloseGap, spec), partial(WarpTeeth, spec=spec)):  # fmt: skip
        made()(arch_graph)
        with pytest.warns(UserWarning, match="found those of upper teeth; .* before you put labels of your own into y"):
            made()(own)
    RemoveParts(Removal(missing=0.0))(own)  # takes no teeth out


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [30, 90, 180])
def test_a_frame_in_which_gaps_are_not_seen_warns(arch_graph: Data, axis: int, degrees: int) -> None:
    """Warnings are errors here."""
    turn = Rotation.from_euler("xyz"[axis], degrees, degrees=True).as_matrix()
    graph = with_corners(arch_graph, face_corners(arch_graph) @ turn.T)
    cuts = replace(CUTS, extraction=1.0)
    for made in (CloseGap(GraphSpec(), rng=0), RemoveParts(cuts, GraphSpec(), rng=0)):
        if degrees == 90 and axis != 1:
            with pytest.warns(UserWarning, match=r"the bite is (89|90|8\d)° off the y axis; .*turned\(mesh"):
                made(graph)
        else:
            made(graph)
    RemoveParts(replace(CUTS, extraction=0.0), rng=0)(graph)


@pytest.mark.parametrize("made", MOVERS)
def test_tables_are_those_that_were_there(arch_graph: Data, small_spec: GraphSpec, made: Callable[..., Any]) -> None:
    bare = arch_graph.clone()
    del bare.neighbor_index, bare.level
    for seed in range(4):
        assert made(small_spec, rng=seed)(arch_graph).neighbor_index.shape[0] == len(arch_graph.neighbor_index)
        assert "neighbor_index" not in made(small_spec, rng=seed)(bare)
        assert "neighbor_index" not in made(rng=seed)(bare)
        with pytest.raises(ConfigError, match=r"computed again; give their specification, \w+\(spec=spec\)"):
            made(rng=seed)(arch_graph)


def test_tables_are_cut_without_their_specification(arch_graph: Data) -> None:
    part = RemoveParts(Removal(region=1.0), rng=0)(arch_graph)
    assert part.neighbor_index.shape == (len(arch_graph.neighbor_index), part.num_nodes)


def test_what_needs_teeth_says_so(arch_graph: Data) -> None:
    with pytest.raises(ConfigError, match="permanent teeth, 11 to 48, got 19, 51"):
        RemoveTeeth((11, 51, 19))
    for wrong in (11, "11"):
        with pytest.raises(ConfigError, match=r"teeth as a list of FDI numbers, got .*11"):
            RemoveTeeth(wrong)
        with pytest.raises(ConfigError, match=r"teeth as a list of FDI numbers, got .*11"):
            without(arch_graph, wrong)
    for wrong in (-0.1, 1.1):
        with pytest.raises(ConfigError, match="of at least 0 and at most 1"):
            MirrorArch(p=wrong)
    with pytest.raises(ShapeError, match="expected nodes to keep"):
        Subgraph(lambda graph: graph.pos)(arch_graph)


@pytest.mark.parametrize("kind", [Removal, Warps])
@pytest.mark.parametrize("wrong", [30, -0.1, float("nan"), "half", None, True])
def test_chances_are_probabilities(kind: type, wrong: Any) -> None:
    for name in vars(kind()):
        with pytest.raises(ConfigError, match=f"probability {name} of a .* of at least 0 and at most 1, got"):
            kind(**{name: wrong})


class Transformed(torch.utils.data.Dataset):
    """Graphs with a transform at access."""

    def __init__(self, graphs: list[Data], transform: Callable[[Data], Any]) -> None:
        self.graphs, self.transform = graphs, transform

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.graphs[index])
