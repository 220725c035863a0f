"""A mean teacher: on scans without labels, a net learns from the answers of the moving average of its weights.

Tarvainen and Valpola, "Mean teachers are better role models" (NeurIPS 2017, arXiv 1703.01780). Here an answer of the
teacher counts as a label if the teacher is sure, as in FixMatch (Sohn et al., NeurIPS 2020, arXiv 2001.07685).
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
    """Scans to train on, about half of them labelled. Any labels of ``others`` are not used."""
    again = max(1, len(others) // len(labelled))
    hidden = [replace(scan, variants=ClassesUnknown(scan.variants)) for scan in others]
    return Sides([*labelled] * again + hidden, [], labels=True)


class ClassesUnknown(Unlabelled):
    """Graphs without labels and jaw, with the class of every node set to unknown."""

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice):
            return ClassesUnknown(self.graphs[which])
        graph = super().__getitem__(which)
        graph.y = torch.full((graph.num_nodes,), UNKNOWN)
        return graph


class MeanTeacher(FinetuneTask):
    """Fine-tuning in which the moving average of the net, the teacher, gives the classes that are not known.

    The teacher gets the same input as the student, without dropout. The teacher is the result.
    """

    DECAY = 0.99  # share of the average that is kept at each step
    SURE = 0.9  # least probability of an answer of the teacher that is learned

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
        """Take the teacher as the result, and learn the shapes of teeth from the labelled scans alone."""
        self.net.load_state_dict(self.teacher.state_dict())
        self.sides = replace(self.sides, train=[scan for scan in self.sides.train if scan.labelled])
        return super().finish(stop)
