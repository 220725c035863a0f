"""Batches: which scans, in what order, drawn how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import Batch, Data

from toothgraph.data.augment import STILL, Augmentation, augment
from toothgraph.data.cuts import WHOLE, Cuts, centred, cut
from toothgraph.data.scans import Scan, plain
from toothgraph.data.seeding import sample_rng
from toothgraph.data.views import ViewOptions, two_views
from toothgraph.graph.spec import GraphSpec

Draw = tuple[int, int]  # epoch, index of the scan


class StepSampler(Sampler[list[Draw]]):
    """The batches of the steps ``start`` … ``steps``, a pure function of the seed and the step's number.

    The scans form one endless sequence, shuffled anew in each epoch, and every step takes the next
    ``batch_size`` of it. A run that is resumed at a step therefore sees what it would have seen. Of ``ranks``
    processes each takes ``batch_size`` other scans of the step.
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


class StepLoader(DataLoader):
    """A loader over a :class:`StepSampler`.

    Its position is a function of the trainer's step, so there is no state to save; having the two methods
    tells Lightning that it can be resumed.
    """

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        del state


class ViewPairs(Dataset):
    """Two views of a scan per draw, for pre-training."""

    def __init__(self, scans: Sequence[Scan], seed: int, options: ViewOptions) -> None:
        self.scans, self.seed, self.options = scans, seed, options

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, draw: Draw) -> tuple[Data, Data]:
        epoch, index = draw
        scan = self.scans[index]
        return two_views(scan.variants, self.seed, epoch, scan.scan_id, self.options)


class LabelledGraphs(Dataset):
    """One augmented graph of a labelled scan per draw, for fine-tuning.

    Args:
        scans: labelled scans.
        spec: of their neighbour tables.
        seed: of all draws.
        augmentation: how far a graph is moved.
        cuts: how often something is taken away from it first.
        jaw_dropout: how often the jaw is withheld, so that the net also learns to do without.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        spec: GraphSpec,
        seed: int,
        augmentation: Augmentation = STILL,
        cuts: Cuts = WHOLE,
        jaw_dropout: float = 0.0,
    ) -> None:
        self.scans, self.spec, self.seed = scans, spec, seed
        self.augmentation, self.cuts, self.jaw_dropout = augmentation, cuts, jaw_dropout

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, draw: Draw) -> Data:
        epoch, index = draw
        scan = self.scans[index]
        rng = sample_rng(self.seed, epoch, scan.scan_id)
        graph = plain(scan.variants[int(rng.integers(len(scan.variants)))])
        graph = augment(centred(cut(graph, rng, self.cuts, self.spec)), rng, self.augmentation)
        if rng.uniform() < self.jaw_dropout:
            graph.jaw = torch.tensor([-1])
        return graph


def collate_pairs(pairs: Sequence[tuple[Data, Data]]) -> Batch:
    """Pairs of views to one batch: the first view of every pair, then the second of every pair.

    So both halves of ``match_index`` (and of ``match_pos``) belong together row by row.
    """
    first, second = zip(*pairs, strict=True)
    return collate([*first, *second])


def collate(graphs: Sequence[Data]) -> Batch:
    """Graphs of any sizes to one batch."""
    return Batch.from_data_list(list(graphs))
