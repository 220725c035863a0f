"""What TensorBoard shows of a run, besides the losses and scores that the task logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from torch_geometric.data import Data

from toothgraph.fdi import UNKNOWN, class_to_fdi
from toothgraph.graph.build import face_corners
from toothgraph.mesh.mesh import Mesh
from toothgraph.training.callbacks import MetricsTable, stepped

FOLDER = "tensorboard"
_RIGHT, _WRONG, _UNKNOWN = (0.85, 0.85, 0.85), (0.85, 0.1, 0.1), (0.5, 0.5, 0.5)


def board_of(out: Path, step: int) -> TensorBoardLogger:
    """Logger that writes the TensorBoard files of a run.

    Args:
        out: run folder.
        step: step at which the run begins; values of later steps from an earlier process are no longer shown.
    """
    purge: dict[str, Any] = {"purge_step": step + 1} if step else {}
    return TensorBoardLogger(str(out), name="", version=FOLDER, default_hp_metric=False, **purge)


class Board(pl.Callback):
    """Writes the learning rate, the scans per second, and two pictures of each validation.

    One picture is the confusion matrix by tooth over all validation scans. The other shows one of these scans, always
    the same: its labels, the labels that the net finds, and where they differ. Only the first process writes. It has
    seen all validation scans, since every process validates on all of them. If the validation of a task returns no
    labels, there are no pictures.

    Args:
        metrics: the table of metrics, which comes before it in the list of callbacks; it has the steps between values.
        scans: scans per step, over all processes.
        shown: name of the scan that is drawn.
    """

    def __init__(self, metrics: MetricsTable, scans: int, shown: str) -> None:
        self.metrics, self.scans, self.shown = metrics, scans, shown
        self._since, self._steps = 0.0, 0
        self._table: np.ndarray | None = None
        self._drawn: tuple[Data, np.ndarray] | None = None

    def _start_clock(self) -> None:
        self._since, self._steps = time.perf_counter(), 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start_clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):
            return
        self._steps += 1
        if trainer.global_step % self.metrics.every == 0 and trainer.logger:
            speed = self.scans * self._steps / (time.perf_counter() - self._since)
            trainer.logger.log_metrics({"lr": self.metrics.rate, "scans_per_second": speed}, trainer.global_step)
            self._start_clock()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if not trainer.is_global_zero or outputs is None:
            return
        self._table = outputs["confusion"] + (0 if self._table is None else self._table)
        if batch.scan_id[0] == self.shown:
            self._drawn = batch.get_example(0).cpu(), outputs["found"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        from toothgraph.report.confusion import draw_confusion  # matplotlib takes a while to import
        from toothgraph.report.picture import pixels

        step = trainer.global_step
        if self._drawn is not None:
            self._add(trainer, "validation/arch", pixels(draw_found(*self._drawn, step)))
        if self._table is not None and self._table.any():
            self._add(trainer, "validation/confusion", pixels(draw_confusion(self._table, f"step {step}")))
        self._table = self._drawn = None
        self._start_clock()

    @staticmethod
    def _add(trainer: pl.Trainer, name: str, image: np.ndarray) -> None:
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.experiment.add_image(name, image, trainer.global_step, dataformats="HWC")


def draw_found(graph: Data, found: np.ndarray, step: int) -> Any:
    """Figure of a labelled graph: its labels, the labels found, and where they differ.

    Args:
        graph: N nodes with ``x`` and ``y``, in the frame of the networks.
        found: [N] FDI numbers.
        step: step of the run, for the title.
    """
    from toothgraph.anatomy.colours import colours
    from toothgraph.report.picture import draw_grid

    # A surface of loose triangles: the graph holds the corners of its faces, but not which corners are one vertex.
    corners, labels = face_corners(graph), class_to_fdi(graph.y.numpy())
    faces = np.arange(3 * len(corners)).reshape(-1, 3)
    mesh = Mesh(corners.reshape(-1, 3), faces, labels=labels, jaw=int(graph.jaw), scan_id=graph.scan_id)
    known = labels != UNKNOWN
    shade = np.where((found == labels)[:, None], _RIGHT, np.where(known[:, None], _WRONG, _UNKNOWN))
    share = (found != labels)[known].sum() / max(known.sum(), 1)
    return draw_grid(
        [(f"{mesh.scan_id}: labels", mesh, None), (f"found at step {step}", mesh, colours(found) / 255.0),
         (f"wrong: {100 * share:.1f} %", mesh, shade)], columns=3, size=3.5,
    )  # fmt: skip
