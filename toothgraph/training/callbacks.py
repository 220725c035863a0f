"""Callbacks around the training steps: metrics, display, checkpoints, weight average and a gentle stop."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from toothgraph.system.files import atomic_path
from toothgraph.system.progress import Display
from toothgraph.system.signals import handled
from toothgraph.training.run_folder import BEST, LAST, PREVIOUS, read_metrics, write_metrics

_log = logging.getLogger("toothgraph")


def stepped(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the optimiser took its step with this batch. If not, gradients are still being accumulated."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validation_follows(trainer: pl.Trainer) -> bool:
    """Whether a validation is due after this step.

    It is due at a regular interval of batches and after the last step, but never if there are no validation scans.
    """
    if not trainer.limit_val_batches:
        return False
    batches = trainer.global_step * trainer.accumulate_grad_batches
    return batches % int(trainer.val_check_batch or 1) == 0 or trainer.global_step >= trainer.max_steps


class MetricsTable(pl.Callback):
    """Writes ``metrics.csv``, and a log line for each validation.

    Args:
        out: run folder.
        val_columns: names of the validation metrics.
        every: steps between rows.
    """

    def __init__(self, out: Path, val_columns: list[str], every: int) -> None:
        self.out, self.every = out, every
        self.columns = ["step", "seconds", "train_loss", "lr", *val_columns]
        self.val_columns = val_columns
        self.rows: list[dict[str, Any]] = []
        self.loss = torch.tensor(torch.nan)  # of the current step, the mean over its batches
        self.rate = 0.0  # the learning rate of the current step; afterwards, the optimiser has that of the next one
        self.before = 0.0  # seconds spent before a resume
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.rows = read_metrics(self.out, trainer.global_step)
        self.before = float(self.rows[-1]["seconds"]) if self.rows else 0.0
        self.started = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def _add(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        seconds = self.before + time.monotonic() - self.started
        row = {"step": trainer.global_step, "seconds": f"{seconds:.1f}"}
        row |= {name: f"{value:.6g}" for name, value in values.items()}
        self.rows.append(row)
        if trainer.is_global_zero:
            write_metrics(self.out, self.columns, self.rows)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach()  # divided by the number of batches of a step
        self.loss = loss if batch_idx % trainer.accumulate_grad_batches == 0 else self.loss + loss
        if stepped(trainer, batch_idx) and trainer.global_step % self.every == 0:
            loss = trainer.strategy.reduce(self.loss, reduce_op="mean")
            self._add(trainer, {"train_loss": float(loss), "lr": self.rate})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics, monitor = trainer.callback_metrics, str(pl_module.monitor)
        self._add(trainer, {name: float(metrics[name]) for name in self.val_columns if name in metrics})
        if trainer.is_global_zero:
            loss = f"loss {float(metrics['train_loss']):#.3g}, " if "train_loss" in metrics else ""
            _log.info("step %d of %d: %s%s %.4f", trainer.global_step, trainer.max_steps, loss, monitor,
                      float(metrics[monitor]))  # fmt: skip


class Shown(pl.Callback):
    """Keeps a progress display up to date: steps, loss and validation scores.

    In the list of callbacks it comes after :class:`MetricsTable`, because it starts with the rows of that table, also
    those from before a resume.

    Args:
        display: the display; the caller enters its context.
        table: the table of metrics.
    """

    def __init__(self, display: Display, table: MetricsTable) -> None:
        self.display, self.table = display, table
        self.found = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found = scores_found(self.table.rows, str(pl_module.monitor))
        self.display.begin("")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stepped(trainer, batch_idx):
            parts = (f"loss {float(self.table.loss):#.3g}", self.found)
            self.display.show(trainer.global_step, ", ".join(part for part in parts if part))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.display.stage("validating")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.display.stage("")
        self.found = scores_found(self.table.rows, str(pl_module.monitor))


def scores_found(rows: list[dict[str, Any]], monitor: str) -> str:
    """Text with the last and the best validation score, as ``val_miou 0.7100, best 0.7300 at step 60``."""
    scored = [(float(row[monitor]), row["step"]) for row in rows if row.get(monitor)]
    if not scored:
        return ""
    (last, _), (best, step) = scored[-1], max(scored, key=lambda one: one[0])
    return f"{monitor} {last:.4f}" + (f", best {best:.4f} at step {step}" if best > last else "")


class Checkpoints(pl.Callback):
    """Writes ``last.ckpt`` at regular steps and ``best.ckpt`` at the best validation, each completely or not at all.

    The checkpoint before the last is kept as ``previous.ckpt``. If a validation is due, ``last.ckpt`` is written after
    it. So a run that is killed during a validation resumes before it, and no validation is missed.

    Args:
        out: run folder.
        every: steps between two writes of ``last.ckpt``.
        monitor: name of the validation metric; a higher value is better.
    """

    def __init__(self, out: Path, every: int, monitor: str) -> None:
        self.out, self.every, self.monitor = out, every, monitor
        self.best = float("-inf")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The table knows the best score, whichever checkpoint the run resumes from.
        known = [row.get(self.monitor) for row in read_metrics(self.out, trainer.global_step)]
        self.best = max((float(value) for value in known if value), default=float("-inf"))

    def save(self, trainer: pl.Trainer, name: str) -> None:
        if not trainer.is_global_zero:  # helps to gather the state, and writes nothing
            trainer.save_checkpoint(self.out / name)
            return
        with atomic_path(self.out / name) as temporary:
            trainer.save_checkpoint(temporary)
            if name == LAST and (self.out / LAST).exists():
                os.replace(self.out / LAST, self.out / PREVIOUS)  # in case the new one turns out to be damaged

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stepped(trainer, batch_idx) and not validation_follows(trainer):
            self._save_last(trainer)

    def _save_last(self, trainer: pl.Trainer) -> None:
        last = trainer.global_step == trainer.max_steps
        if trainer.global_step % self.every == 0 or trainer.should_stop or last:
            self.save(trainer, LAST)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics.get(self.monitor, torch.tensor(float("-inf"))))
        if value > self.best:
            self.best = value
            self.save(trainer, BEST)
        self._save_last(trainer)


class WeightAverage(pl.Callback):
    """Keeps a moving average of the weights of a net, for the validation and the model file.

    Validation uses the average. :meth:`hand_over` puts it into the net, before the model file is written. In the list
    of callbacks it comes before :class:`MetricsTable` and :class:`Checkpoints`. A checkpoint holds the trained weights,
    and the average as the state of this callback, so a resumed run goes on with both. Lightning's own callback is not
    used, because it copies the whole module together with the data.

    Args:
        net: the net that is trained.
        decay: share of the average that is kept at each step.
    """

    def __init__(self, net: torch.nn.Module, decay: float) -> None:
        self.net, self.decay = net, decay
        self.average: dict[str, torch.Tensor] = {}
        self._aside: dict[str, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average = state_dict["average"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):
            return
        for name, tensor in self.net.state_dict().items():
            known = self.average.get(name)
            if known is None or not tensor.is_floating_point():  # counts of batches are not averaged
                self.average[name] = tensor.clone()
            else:
                self.average[name] = known.to(tensor.device).lerp_(tensor, 1 - self.decay)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._aside = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.net.load_state_dict(self._aside)

    def hand_over(self) -> None:
        """Put the average into the net.

        This is not a hook: if a run is resumed at its end, Lightning calls no hooks.
        """
        self.net.load_state_dict(self.average)


class GentleStop(pl.Callback):
    """Stops after the current step on Ctrl-C or SIGTERM, and at once on a second signal.

    In the list of callbacks it comes before :class:`Checkpoints`, which then saves the last step.

    Args:
        display: display that shows the answer to the user.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.asked = False
        self.by_sigterm = False  # whether SIGTERM asked, and not Ctrl-C
        self._process = os.getpid()

    def _ask(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:  # a loader's worker, which inherits this handler and ignores Ctrl-C
            if number == signal.SIGTERM:
                os._exit(1)
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked, self.by_sigterm = True, number == signal.SIGTERM
        again = "send it" if self.by_sigterm else "press Ctrl-C"
        self.display.answer(f"stopping after this step; {again} again to stop at once")

    def listening(self) -> AbstractContextManager[None]:
        """Handle SIGINT and SIGTERM inside the block.

        If Lightning's hooks set the handlers, they would remain after a run that fails.
        """
        return handled({signal.SIGINT: self._ask, signal.SIGTERM: self._ask})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take SIGTERM back from Lightning, which ends a run in the middle of a validation or before a step is saved.

        After the run, Lightning restores the handler that it found, which is the one of :meth:`listening`.
        """
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, self._ask)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):
            return
        # If one process stops, all stop: they wait for each other in every step.
        if not trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            return
        self.asked = trainer.should_stop = True
        if not validation_follows(trainer):
            trainer.limit_val_batches = 0  # else Lightning validates before it stops, though none is due
