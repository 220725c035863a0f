"""Data sets and batches: choice, order and random transforms of scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import Batch, Data

from toothgraph.data.scan import Scan
from toothgraph.errors import ShapeError
from toothgraph.fdi import UNKNOWN
from toothgraph.graph.spec import GraphSpec
from toothgraph.seeding import sample_rng
from toothgraph.transforms.augment import STILL, Augmentation, augment
from toothgraph.transforms.crop import plain
from toothgraph.transforms.removal import NOTHING_REMOVED, Removal, centred, remove_parts
from toothgraph.transforms.views import ViewOptions, two_views
from toothgraph.transforms.warp_teeth import NO_WARPS, Warps, warp_teeth

Draw = tuple[int, int]  # epoch, index of the scan


class StepSampler(Sampler[list[Draw]]):
    """The batches of the steps from ``start`` to ``steps``; they depend only on the seed and the step number.

    The scans are an endless sequence, shuffled in each epoch, and each step takes the next ``batch_size`` scans per
    process. So a resumed run gets the same batches as a run without interruption. The ``ranks`` processes take
    different scans of a step.
    """

    def __init__(
        self, num_scans: int, batch_size: int, seed: int, steps: int, start: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.num_scans, self.batch_size, self.seed = num_scans, batch_size, seed
        self.steps, self.start, self.rank, self.ranks = steps, start, rank, ranks

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        order, epoch = np.zeros(0, dtype=int), -1
        for step in range(self.start, self.steps):
            batch = []
            for place in range(step * self.batch_size * self.ranks, (step + 1) * self.batch_size * self.ranks):
                if place // self.num_scans != epoch:
                    epoch = place // self.num_scans
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.num_scans)
                batch.append((epoch, int(order[place % self.num_scans])))
            yield batch[self.rank * self.batch_size : (self.rank + 1) * self.batch_size]


class StepLoader(DataLoader[Any]):
    """A loader for a :class:`StepSampler`.

    Its position follows from the step of the trainer, so there is no state to save. The two methods tell Lightning that
    it can be resumed.
    """

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        del state


class ViewPairs(Dataset[tuple[Data, Data]]):
    """Two views of a scan per draw, for pre-training.

    An index is a draw, (epoch, scan), as a :class:`StepSampler` gives it: each epoch has views of its own.

    Args:
        scans: the scans.
        seed: seed of all random values.
        options: how the views are made.

    Raises:
        ShapeError: at an index that is no draw.

    Example:
        >>> pairs = ViewPairs(scans, 0, ViewOptions())  # doctest: +SKIP
        >>> sampler = StepSampler(len(pairs), batch_size=2, steps=100, seed=0)  # doctest: +SKIP
        >>> loader = StepLoader(pairs, batch_sampler=sampler, collate_fn=collate_pairs)  # doctest: +SKIP
    """

    def __init__(self, scans: Sequence[Scan], seed: int, options: ViewOptions) -> None:
        self.scans, self.seed, self.options = scans, seed, options

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, draw: Draw) -> tuple[Data, Data]:
        epoch, scan = _drawn(draw, self.scans)
        return two_views(scan.variants, self.seed, epoch, scan.scan_id, self.options)


class LabelledGraphs(Dataset[Data]):
    """One augmented graph of a labelled scan per draw, for fine-tuning.

    An index is a draw, (epoch, scan), as a :class:`StepSampler` gives it: each epoch has changes of its own.

    Args:
        scans: labelled scans.
        spec: specification of their neighbour tables.
        seed: seed of all random values.
        augmentation: strength of the augmentation.
        cuts: probabilities of removals before the augmentation.
        jaw_dropout: probability that the jaw is set to unknown, so that the network also learns without it.
        warps: probabilities that teeth are changed before the removals.

    Raises:
        ShapeError: at an index that is no draw.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        spec: GraphSpec,
        seed: int,
        augmentation: Augmentation = STILL,
        cuts: Removal = NOTHING_REMOVED,
        jaw_dropout: float = 0.0,
        warps: Warps = NO_WARPS,
    ) -> None:
        self.scans, self.spec, self.seed = scans, spec, seed
        self.augmentation, self.cuts, self.jaw_dropout, self.warps = augmentation, cuts, jaw_dropout, warps

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, draw: Draw) -> Data:
        epoch, scan = _drawn(draw, self.scans)
        rng = sample_rng(self.seed, epoch, scan.scan_id)
        graph = plain(scan.variants[int(rng.integers(len(scan.variants)))])
        graph = warp_teeth(graph, rng, self.warps, self.spec)
        graph = augment(centred(remove_parts(graph, rng, self.cuts, self.spec)), rng, self.augmentation)
        if rng.uniform() < self.jaw_dropout:
            graph.jaw = torch.tensor([-1])
        return graph


def _drawn(draw: Draw, scans: Sequence[Scan]) -> tuple[int, Scan]:
    """The epoch and the scan of a draw."""
    if not isinstance(draw, tuple) or len(draw) != 2:
        raise ShapeError(f"expected a draw (epoch, scan) as index, as StepSampler gives it, got {draw!r}")
    return draw[0], scans[draw[1]]


def collate_pairs(pairs: Sequence[tuple[Data, Data]]) -> Batch:
    """Join pairs of views to one batch: first all first views, then all second views.

    So the two halves of ``match_index`` (and of ``match_pos``) match row by row. ``match_sizes`` is the number of
    matches of each pair.
    """
    first, second = zip(*pairs, strict=True)
    batch = collate([*first, *second])
    batch.match_sizes = [len(view.match_index) for view in first]
    return batch


def collate(graphs: Sequence[Data]) -> Batch:
    """Join graphs of any size to one batch. If only some graphs have labels, the labels of the others are unknown (-1).

    The number of nodes of each level is counted here (``level_sizes``), so that it need not be asked of a GPU.

    Raises:
        ShapeError: without graphs, or if any field but the labels is missing in some of them.
    """
    graphs = list(graphs) if isinstance(graphs, Sequence) else []
    if not graphs or not all(isinstance(graph, Data) for graph in graphs):
        raise ShapeError("expected a sequence of graphs, at least one, got something else")
    names = set().union(*(graph.keys() for graph in graphs))
    for place, graph in enumerate(graphs):
        missing = sorted(names.difference(graph.keys()))
        if missing == ["y"]:
            graphs[place] = plain(graph)
            graphs[place].y = torch.full((graph.num_nodes,), UNKNOWN)
        elif missing:
            raise ShapeError(
                f"expected the same fields in all graphs of a batch, got {graph.get('scan_id', f'graph {place}')} "
                f"without {' and '.join(missing)}; add them, or delete them from the others"
            )
    batch = Batch.from_data_list(graphs)
    if "level" in names:
        batch.level_sizes = torch.bincount(batch.level).flip(0).cumsum(0).flip(0).tolist()
    return batch
