"""Batches: which scans, in what order, drawn how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch.utils.data import DataLoader, Dataset, Sampler
from torch_geometric.data import Batch, Data

from toothgraph.data.augment import Augmentation, augment
from toothgraph.data.scans import Scan, plain
from toothgraph.data.seeding import sample_rng
from toothgraph.data.views import ViewOptions, crop, cut_region, two_views

TRIM = (2.0, 10.0)  # mm of gum that stays about the teeth
Draw = tuple[int, int]  # epoch, index of the scan


class StepSampler(Sampler[list[Draw]]):
    """The batches of the steps ``start`` … ``steps``, a pure function of the seed and the step's number.

    The scans form one endless sequence, shuffled anew in each epoch, and every step takes the next
    ``batch_size`` of it. A run that is resumed at a step therefore sees what it would have seen.
    """

    def __init__(self, num_scans: int, batch_size: int, seed: int, steps: int, start: int = 0) -> None:
        self.num_scans, self.batch_size, self.seed = num_scans, batch_size, seed
        self.steps, self.start = steps, start

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        order, epoch = np.zeros(0, dtype=int), -1
        for step in range(self.start, self.steps):
            batch = []
            for place in range(step * self.batch_size, (step + 1) * self.batch_size):
                if place // self.num_scans != epoch:
                    epoch = place // self.num_scans
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.num_scans)
                batch.append((epoch, int(order[place % self.num_scans])))
            yield batch


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
        seed: of all draws.
        augmentation: how far a graph is moved.
        crop_probability: how often a region is cut away, as in a partial scan; at least half stays.
        missing_probability: how often teeth are taken out, see :func:`without_teeth`.
        trim_probability: how often what lies far from the teeth is cut away, see :func:`trimmed`.
        jaw_dropout: how often the jaw is withheld, so that the net also learns to do without.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        seed: int,
        augmentation: Augmentation,
        crop_probability: float,
        jaw_dropout: float,
        missing_probability: float = 0.0,
        trim_probability: float = 0.0,
    ) -> None:
        self.scans, self.seed, self.augmentation = scans, seed, augmentation
        self.crop_probability, self.jaw_dropout = crop_probability, jaw_dropout
        self.missing_probability, self.trim_probability = missing_probability, trim_probability

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, draw: Draw) -> Data:
        epoch, index = draw
        scan = self.scans[index]
        rng = sample_rng(self.seed, epoch, scan.scan_id)
        graph = plain(scan.variants[rng.integers(len(scan.variants))])
        if rng.uniform() < self.crop_probability:
            centre = graph.pos.numpy()[rng.integers(graph.num_nodes)]
            graph = crop(graph, cut_region(graph, centre, round(rng.uniform(0.5, 1.0) * graph.num_nodes)))
        if rng.uniform() < self.trim_probability:
            graph = trimmed(graph, rng.uniform(*TRIM))
        if rng.uniform() < self.missing_probability:
            graph = without_teeth(graph, rng)
        graph = augment(centred(graph), rng, self.augmentation)
        if rng.uniform() < self.jaw_dropout:
            graph.jaw = torch.tensor([-1])
        return graph


def centred(graph: Data) -> Data:
    """The graph with the centre of its surface as the origin, as a scan of just this region would have it."""
    centre = (graph.pos * graph.area[:, None]).sum(dim=0) / graph.area.sum().clamp_min(1e-12)
    out = plain(graph)
    out.pos = graph.pos - centre
    out.x = torch.cat([out.pos, graph.x[:, 3:]], dim=1)
    return out


def trimmed(graph: Data, margin: float) -> Data:
    """The graph without the nodes farther than ``margin`` mm from every tooth: some scans show little of the gum."""
    pos, tooth = graph.pos.numpy(), (graph.y > 0).numpy()
    if not tooth.any():
        return graph
    distance, _ = cKDTree(pos[tooth]).query(pos, distance_upper_bound=margin)
    return crop(graph, np.flatnonzero(np.isfinite(distance)))


def without_teeth(graph: Data, rng: np.random.Generator) -> Data:
    """The graph without the nodes of up to four of its teeth, so that numbers cannot be told by counting alone.

    At least four teeth stay.
    """
    teeth = torch.unique(graph.y[graph.y > 0]).numpy()
    count = min(int(rng.integers(1, 5)), len(teeth) - 4)
    if count < 1:
        return graph
    drawn = rng.choice(teeth, size=count, replace=False)
    return crop(graph, np.flatnonzero(~np.isin(graph.y.numpy(), drawn)))


def collate_pairs(pairs: Sequence[tuple[Data, Data]]) -> Batch:
    """Pairs of views to one batch: the first view of every pair, then the second of every pair.

    So both halves of ``match_index`` (and of ``match_pos``) belong together row by row.
    """
    first, second = zip(*pairs, strict=True)
    return collate([*first, *second])


def collate(graphs: Sequence[Data]) -> Batch:
    """Graphs of any sizes to one batch."""
    return Batch.from_data_list(list(graphs))
