"""The run that pre-training and fine-tuning share: trainer, run folder and model file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning

from toothgraph.errors import ConfigError
from toothgraph.model.file import save_model
from toothgraph.nn.distributed import trained_together
from toothgraph.stages import clock
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.system.processes import first_rank
from toothgraph.system.progress import Display
from toothgraph.system.quiet import errors_only
from toothgraph.system.signals import Terminated
from toothgraph.training.board import Board, board_of
from toothgraph.training.callbacks import Checkpoints, GentleStop, MetricsTable, Shown, WeightAverage, scores_found
from toothgraph.training.run_folder import (
    BAD_BATCH_FILE,
    CONFIG_FILE,
    is_finished,
    logged,
    open_run,
    read_checkpoint,
    read_metrics,
)
from toothgraph.training.run_state import Stopped, check_idle, told
from toothgraph.training.task import NotFinite, Task, scans_per_step
from toothgraph.weights import MODEL_FILE

_log = logging.getLogger("toothgraph")
_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Lightning's advice on hardware and loaders inside the block."""
    with errors_only("lightning.pytorch", "lightning.fabric"):
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=r".*`isinstance\(treespec, LeafSpec\)` is deprecated")
        warnings.filterwarnings("ignore", message=r".*does not have many workers")
        warnings.filterwarnings("ignore", message=r".*AMP with fp16 is not supported on CPU")  # an error instead
        yield


@contextmanager
def determinism_kept() -> Iterator[None]:
    """Restore torch's deterministic mode after the block, since Lightning sets it for the whole process."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@determinism_kept()
def run(task: Task, out: Path, resume: bool, facts: dict[str, Any], header: dict[str, Any]) -> Path:
    """Train a task and write the model file.

    Everything that can be checked is checked before anything is written.

    Args:
        task: what to train.
        out: run folder.
        resume: go on with the run in ``out``.
        facts: entries of ``config.json`` besides the options.
        header: metadata for the model file.

    Returns:
        The model file.

    Raises:
        Stopped: if the user stopped the run; it can be resumed from ``last.ckpt``.
        ConfigError: if an option cannot be used, the folder holds another run, or another process works on it.
        NotFinite: if the loss is not finite; ``bad_batch.json`` names the step and the scans.
        CheckpointError: if the checkpoint cannot be used.
    """
    display = Display(task.work, task.steps, "steps", every=30, announce=False)
    trainer, stop = make_trainer(task, out, display)
    check_idle(out)
    begun = (out / CONFIG_FILE).exists()
    checkpoint = open_run(out, task.config, resume, facts)
    step = read_checkpoint(checkpoint)["global_step"] if checkpoint else 0
    with logged(out):
        if resume and is_finished(out) and (step >= task.steps or not checkpoint):
            _log.info("%s: finished already, at step %d", out, task.steps)
            return out / MODEL_FILE
        with told(out, lambda: max(trainer.global_step, step)):
            task.sides.say()
            if task.validates:
                _log.info("%s: %s", task.monitor, task.monitor_is)
            begins = f"resumed at step {step}" if checkpoint else "begins at step 0"
            nothing = "nothing to resume: " if resume and not begun else ""
            _log.info("%s%s of %d; writes to %s", nothing, begins, task.steps, out)
            display.start_at(step)
            trainer.logger = board_of(out, step)
            try:
                with display:
                    fit(task, trainer, stop, out, checkpoint)
                if first_rank():
                    save(task, trainer, stop, out, header)
            except KeyboardInterrupt as error:  # before the first step, or after the last
                at = f"stopped at step {max(trainer.global_step, step)} of {task.steps}"
                raise Stopped(at, isinstance(error, Terminated)) from error
    return out / MODEL_FILE


def fit(task: Task, trainer: pl.Trainer, stop: GentleStop, out: Path, checkpoint: Path | None) -> None:
    """Do the training steps of a run. Raises the same errors as :func:`run`."""
    try:
        with quiet(), stop.listening(), trained_together():
            trainer.fit(task, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:  # Lightning raises it at the second signal
        raise Stopped("stopped at once", stop.by_sigterm) from error
    except NotFinite as error:
        batch = {"step": trainer.global_step, "scans": error.scan_ids, "error": str(error)}
        write_text(out / BAD_BATCH_FILE, json.dumps(batch) + "\n")
        raise
    if stop.asked and trainer.global_step < task.steps:
        raise Stopped(f"stopped at step {trainer.global_step} of {task.steps}", stop.by_sigterm)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAverage):
            callback.hand_over()


def save(task: Task, trainer: pl.Trainer, stop: GentleStop, out: Path, header: dict[str, Any]) -> None:
    """Finish a run after its last step: the remaining work of the task, then the model file."""
    header = header | {"steps": trainer.global_step, "trained": provenance.facts()}
    stop.asked = False  # a Ctrl-C during the last step has no further effect
    with stop.listening(), Display("finishing", every=None) as stop.display:
        if not task.finish(lambda: stop.asked):
            raise Stopped("stopped while it learned the shapes of teeth", stop.by_sigterm)
    save_model(out / MODEL_FILE, task.net, header)
    _log.info("%s", what_came_of_it(trainer.global_step, read_metrics(out), task.monitor))


def what_came_of_it(steps: int, rows: list[dict[str, Any]], monitor: str) -> str:
    """The last log line of a run: steps, time, and validation scores or, without them, the last training loss."""
    time = f" in {clock(float(rows[-1]['seconds']))}" if rows else ""
    scores = scores_found(rows, monitor) or (f"train_loss {rows[-1]['train_loss']}" if rows else "")
    return f"finished: {steps} steps{time}" + (f", {scores}" if scores else "")


def device_of(name: str) -> str:
    """Name of a device for torch: ``auto`` becomes ``cuda`` if it is available, else ``cpu``."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def accelerator(name: str) -> str:
    """Lightning's name for a device, see :func:`device_of`."""
    device = device_of(name)
    return "gpu" if device == "cuda" else device


def make_trainer(task: Task, out: Path, display: Display) -> tuple[pl.Trainer, GentleStop]:
    """Lightning trainer for a task, and the callback that knows whether the user asked to stop.

    The trainer keeps ``display`` up to date.

    Raises:
        ConfigError: if the device cannot compute in the requested precision.
    """
    config = task.config
    stop = GentleStop(display)
    table = MetricsTable(out, list(task.val_columns), config.log_every)
    average = getattr(config, "average", 0.0)
    shown = min((scan.scan_id for scan in task.sides.val), default="")
    callbacks = [
        stop,
        *([WeightAverage(task.net, average)] if average else []),
        table,
        Shown(display, table),
        Board(table, scans_per_step(config), shown),
        Checkpoints(out, config.checkpoint_every, task.monitor),
    ]
    with quiet():
        trainer = pl.Trainer(
            accelerator=accelerator(config.device),
            devices=config.devices,
            num_nodes=config.nodes,
            strategy="ddp" if config.devices * config.nodes > 1 else "auto",
            use_distributed_sampler=False,  # our sampler knows the step, and so where a resumed run goes on
            accumulate_grad_batches=config.accumulate,
            deterministic=config.deterministic or None,
            precision=_PRECISION[config.precision],
            max_steps=task.steps,
            max_epochs=-1,
            val_check_interval=min(config.validate_every, task.steps) * config.accumulate,
            check_val_every_n_epoch=None,
            limit_val_batches=1.0 if task.validates else 0,
            num_sanity_val_steps=0,
            gradient_clip_val=config.clip or None,
            logger=False,  # set in run(), when it is known where the run begins
            log_every_n_steps=config.log_every,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,  # our display also shows the scores
            enable_model_summary=False,
        )
    if config.precision == "16" and trainer.strategy.root_device.type == "cpu":
        raise ConfigError("precision 16 needs a GPU; on a CPU choose bf16 or 32")
    return trainer, stop
