"""What happens around the training steps: rows, checkpoints, a gentle stop."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from toothgraph.system.files import atomic_path
from toothgraph.system.progress import Display
from toothgraph.training.run_folder import BEST, LAST, PREVIOUS, read_metrics, write_metrics

_log = logging.getLogger("toothgraph")


def stepped(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the optimiser took its step with this batch, or gradients still add up."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


def validation_follows(trainer: pl.Trainer) -> bool:
    """Whether a validation is due after this step: every so many batches, and after the last; never if nobody
    validates."""
    if not trainer.limit_val_batches:
        return False
    batches = trainer.global_step * trainer.accumulate_grad_batches
    return batches % int(trainer.val_check_batch or 1) == 0 or trainer.global_step >= trainer.max_steps


class MetricsTable(pl.Callback):
    """Writes ``metrics.csv``, and a line to the log where no progress bar is shown.

    Args:
        out: run folder.
        val_columns: names of the validation metrics.
        every: steps between rows.
        say: whether to log a line per row.
    """

    def __init__(self, out: Path, val_columns: list[str], every: int, say: bool) -> None:
        self.out, self.every, self.say = out, every, say
        self.columns = ["step", "seconds", "train_loss", "lr", *val_columns]
        self.val_columns = val_columns
        self.rows: list[dict[str, Any]] = []
        self.before = 0.0  # seconds spent before a resume
        self.started = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.rows = read_metrics(self.out, trainer.global_step)
        self.before = float(self.rows[-1]["seconds"]) if self.rows else 0.0
        self.started = time.monotonic()

    def _add(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        seconds = self.before + time.monotonic() - self.started
        row = {"step": trainer.global_step, "seconds": f"{seconds:.1f}"}
        row |= {name: f"{value:.6g}" for name, value in values.items()}
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        write_metrics(self.out, self.columns, self.rows)
        if self.say:
            _log.info("step %d of %d: %s", trainer.global_step, trainer.max_steps,
                      ", ".join(f"{name} {value:.4g}" for name, value in values.items()))  # fmt: skip

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stepped(trainer, batch_idx) and trainer.global_step % self.every == 0:
            rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
            loss = trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")
            self._add(trainer, {"train_loss": float(loss), "lr": rate})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        self._add(trainer, {name: float(metrics[name]) for name in self.val_columns if name in metrics})


class Bar(pl.Callback):
    """A bar on the terminal: steps, time left, the loss, and what the last validation found."""

    def __init__(self) -> None:
        self.display: Display | None = None
        self.found = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.display = Display("training", trainer.max_steps, start=trainer.global_step)
        self.display.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.display and stepped(trainer, batch_idx):
            self.display.show(trainer.global_step, f"loss {float(outputs['loss']):.3g}{self.found}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        monitor = str(pl_module.monitor)
        self.found = f", {monitor} {float(trainer.callback_metrics[monitor]):.4f}"

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self.display:
            self.display.__exit__(None, None, None)
            self.display = None


class Checkpoints(pl.Callback):
    """Writes ``last.ckpt`` every so many steps and ``best.ckpt`` at the best validation, each whole or not.

    The one before the last stays as ``previous.ckpt``. Where a validation is due, ``last.ckpt`` is written after it:
    a run killed in between resumes before it, and misses none.

    Args:
        out: run folder.
        every: steps.
        monitor: the validation metric of which more is better.
    """

    def __init__(self, out: Path, every: int, monitor: str) -> None:
        self.out, self.every, self.monitor = out, every, monitor
        self.best = float("-inf")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The table knows the best, whichever checkpoint this is resumed from.
        known = [row.get(self.monitor) for row in read_metrics(self.out, trainer.global_step)]
        self.best = max((float(value) for value in known if value), default=float("-inf"))

    def save(self, trainer: pl.Trainer, name: str) -> None:
        if not trainer.is_global_zero:  # which takes part in gathering the state, and writes nothing
            trainer.save_checkpoint(self.out / name)
            return
        with atomic_path(self.out / name) as temporary:
            trainer.save_checkpoint(temporary)
            if name == LAST and (self.out / LAST).exists():
                os.replace(self.out / LAST, self.out / PREVIOUS)  # should the new one turn out to be damaged

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
    """Keeps a moving average of a net; validation takes that one, and :meth:`hand_over` gives it to the model file.

    Comes before :class:`MetricsTable` and :class:`Checkpoints`. A checkpoint holds the trained net, and the average as
    the state of this callback, so a resumed run goes on with both. Lightning's own callback copies the whole module,
    and with it the data.

    Args:
        net: what is trained.
        decay: share of the average that stays at each step.
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
        """Put the average in the place of the net; not a hook, since of a run resumed at its end none is called."""
        self.net.load_state_dict(self.average)


class GentleStop(pl.Callback):
    """Ctrl-C (or SIGTERM) finishes the step; a second Ctrl-C stops at once.

    Comes before :class:`Checkpoints`, which then saves the last step. Listens while it is entered as a
    context; in Lightning's own hooks the handlers would outlive a run that fails.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def _ask(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:  # a loader's worker, which inherits this: Ctrl-C is not its business
            if number == signal.SIGTERM:
                os._exit(1)
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(2, b"\nstopping after this step; press Ctrl-C again to stop at once\n")

    def __enter__(self) -> GentleStop:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        except ValueError:  # not in the main thread: the caller handles signals
            self._before.clear()
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not stepped(trainer, batch_idx):
            return
        # One process stops with all others: they wait for each other in every step.
        if not trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            return
        self.asked = trainer.should_stop = True
        if not validation_follows(trainer):
            trainer.limit_val_batches = 0  # else Lightning validates before it stops, out of turn
