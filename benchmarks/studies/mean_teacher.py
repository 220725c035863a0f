"""A mean teacher: what a net learns from on scans without labels is what the moving average of its weights says there.

Tarvainen and Valpola, "Mean teachers are better role models" (NeurIPS 2017, arXiv 1703.01780). Here a sure answer of
the teacher is a label, as in FixMatch (Sohn et al., NeurIPS 2020, arXiv 2001.07685).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from toothgraph.data.scan import Scan, Unlabelled
from toothgraph.fdi import UNKNOWN
from toothgraph.training.finetune import FinetuneTask
from toothgraph.training.sides import Sides


def mixed(labelled: Sequence[Scan], others: Sequence[Scan]) -> Sides:
    """Sides of which one half of what is drawn has labels; those of ``others`` are not used."""
    again = max(1, len(others) // len(labelled))
    hidden = [replace(scan, variants=ClassesUnknown(scan.variants)) for scan in others]
    return Sides([*labelled] * again + hidden, [], labels=True)


class ClassesUnknown(Unlabelled):
    """Graphs without labels and jaw, of which all classes are said to be unknown."""

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice):
            return ClassesUnknown(self.graphs[which])
        graph = super().__getitem__(which)
        graph.y = torch.full((graph.num_nodes,), UNKNOWN)
        return graph


class MeanTeacher(FinetuneTask):
    """Fine-tuning where the moving average of the net says the classes that are not known.

    The teacher sees what the student sees, without dropout. It is the result.
    """

    DECAY = 0.99  # share of the average that stays at each step
    SURE = 0.9  # probability from which on what the teacher says is learned

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.teacher = copy.deepcopy(self.net).requires_grad_(False)

    def loss(self, batch: Batch) -> Tensor:
        self.teacher.eval()
        with torch.no_grad():
            sure, found = self.teacher(batch, batch.jaw).exp().max(dim=1)
        batch = copy.copy(batch)
        batch.y = torch.where((batch.y == UNKNOWN) & (sure >= self.SURE), found, batch.y)
        return super().loss(batch)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        for average, now in zip(self.teacher.state_dict().values(), self.net.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(now, 1 - self.DECAY)
        super().on_train_batch_end(outputs, batch, batch_idx)

    def finish(self, stop: Callable[[], bool]) -> bool:
        """The teacher is the result; shapes of teeth are learned from the labelled scans alone."""
        self.net.load_state_dict(self.teacher.state_dict())
        self.sides = replace(self.sides, train=[scan for scan in self.sides.train if scan.labelled])
        return super().finish(stop)
