"""What pre-training and fine-tuning share: optimiser, trainer, run folder."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from torch.utils.data import Dataset

from toothgraph import provenance
from toothgraph.data.loading import StepLoader, StepSampler
from toothgraph.data.seeding import batch_seed
from toothgraph.errors import ConfigError, DataError
from toothgraph.files import write_text
from toothgraph.nn.model import ContrastiveNet, SegmentationNet
from toothgraph.processes import first_rank
from toothgraph.training.callbacks import Checkpoints, GentleStop, MetricsTable, WeightAverage
from toothgraph.training.checkpoint import MODEL_FILE, save_model
from toothgraph.training.config import TrainingConfig
from toothgraph.training.run_folder import (
    BAD_BATCH_FILE,
    is_finished,
    log_to,
    open_run,
    read_checkpoint,
)

_log = logging.getLogger("toothgraph")
_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


class Stopped(Exception):
    """The user stopped a run; its last checkpoint is saved."""


class NotFinite(DataError):
    """A loss that is no number, and the scans it came from."""

    def __init__(self, loss: float, scan_ids: list[str]) -> None:
        super().__init__(f"the loss became {loss} on the scans {', '.join(scan_ids)}; try a lower --lr")
        self.scan_ids = scan_ids


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """The learning rate at a step, as a share of the highest."""
    if schedule == "decay":
        return 0.99 ** (step // 1000)
    progress = min(1.0, step / max(1, steps))
    if schedule == "cosine":
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "warmup":
        up = 0.1
        if progress < up:
            return (step + 1) / (up * steps + 1)
        return 0.5 * (1 + math.cos(math.pi * (progress - up) / (1 - up)))
    raise ConfigError(f'expected a schedule of "warmup", "cosine" or "decay", got {schedule!r}')


def make_optimizer(net: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser; biases and norms (tensors of one dimension) do not decay, a backbone may learn more slowly."""
    groups = []
    for rate, part in rates(net, config).items():
        weights = [p for p in part if p.requires_grad and p.dim() > 1]
        others = [p for p in part if p.requires_grad and p.dim() <= 1]
        groups.append({"params": weights, "weight_decay": config.weight_decay, "lr": rate})
        groups.append({"params": others, "weight_decay": 0.0, "lr": rate})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.lr)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    raise ConfigError(f'expected an optimizer of "adamw", "adam" or "sgd", got {config.optimizer!r}')


def rates(net: torch.nn.Module, config: TrainingConfig) -> dict[float, list[torch.nn.Parameter]]:
    """The parameters by their highest learning rate."""
    parts: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        slower = getattr(config, "backbone_rate", 1.0) if name.startswith("backbone.") else 1.0
        parts.setdefault(config.lr * slower, []).append(parameter)
    return parts


class Task(pl.LightningModule):
    """A net with its data and options; subclasses say what a step is.

    Args:
        net: what is trained.
        config: options.
        train, val: datasets that take (epoch, index).
        join: collates samples.
    """

    monitor = ""
    val_columns: tuple[str, ...] = ()

    def __init__(
        self, net: ContrastiveNet | SegmentationNet, config: TrainingConfig, train: Dataset, val: Dataset, join: Any
    ) -> None:
        super().__init__()
        self.net, self.config = net, config
        self._train, self._val, self._join = train, val, join
        self.steps = count_steps(config, len(train))  # type: ignore[arg-type]

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.net, self.config)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(self.config.schedule, step, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        config, trainer = self.config, self.trainer
        number = trainer.global_step * config.accumulate + batch_idx % config.accumulate
        torch.manual_seed(batch_seed(config.seed, number, trainer.global_rank))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.trainer.global_step >= self.steps:
            self.trainer.should_stop = True  # Lightning then validates the last weights, whatever the interval

    def train_dataloader(self) -> StepLoader:
        sampler = StepSampler(
            len(self._train),  # type: ignore[arg-type]
            self.config.batch,
            self.config.seed,
            self.steps * self.config.accumulate,
            start=self.trainer.global_step * self.config.accumulate,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
        )
        return self._loader(self._train, sampler)

    def val_dataloader(self) -> StepLoader:
        size = len(self._val)  # type: ignore[arg-type]
        return self._loader(self._val, StepSampler(size, 1, self.config.seed + 1, size))

    def _loader(self, dataset: Dataset, sampler: StepSampler) -> StepLoader:
        return StepLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=self._join,
            num_workers=self.config.workers,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        del dataloader_idx
        return batch.to(device, non_blocking=True)  # from pinned memory, while the step before is computed


def count_steps(config: TrainingConfig, num_scans: int) -> int:
    """Steps of a run: as many as its epochs need, where epochs are given."""
    if config.epochs is None:
        return config.steps
    together = config.batch * config.devices * config.nodes * config.accumulate
    return max(1, math.ceil(config.epochs * num_scans / together))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advice on hardware and loaders away from the user."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=r".*`isinstance\(treespec, LeafSpec\)` is deprecated")
        warnings.filterwarnings("ignore", message=r".*does not have many workers")
        warnings.filterwarnings("ignore", message=r".*AMP with fp16 is not supported on CPU")  # refused instead
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


@contextmanager
def determinism_kept() -> Iterator[None]:
    """Leave torch as deterministic as it was: Lightning switches it for the whole process."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@determinism_kept()
def run(task: Task, out: Path, resume: bool, facts: dict[str, Any], header: dict[str, Any]) -> Path:
    """Train, and write the model. Nothing is written before all that can be checked is found in order.

    Args:
        task: what to train.
        out: run folder.
        resume: go on with the run that is there.
        facts: what ``config.json`` is to say besides the options.
        header: what the model file says of itself.

    Returns:
        The model file.

    Raises:
        Stopped: if the user stopped it; ``last.ckpt`` is there to resume from.
        ConfigError: if an option cannot be used, or the folder holds another run.
        NotFinite: if the loss is not finite; ``bad_batch.json`` names the step and the scans.
        CheckpointError: if the checkpoint cannot be used.
    """
    trainer, stop = make_trainer(task, out)
    checkpoint = open_run(out, task.config, resume, facts)
    step = read_checkpoint(checkpoint)["global_step"] if checkpoint else 0
    handler = log_to(out)
    try:
        if step >= task.steps and is_finished(out):
            _log.info("%s: finished already, at step %d", out, step)
            return out / MODEL_FILE
        if checkpoint:
            _log.info("resumed at step %d", step)
        else:
            _log.info("nothing to resume: begins at step 0" if resume else "begins at step 0")
        try:
            with quiet(), stop:
                trainer.fit(task, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:  # what Lightning makes of the second Ctrl-C
            raise Stopped("stopped at once") from error
        except NotFinite as error:
            batch = {"step": trainer.global_step, "scans": error.scan_ids, "error": str(error)}
            write_text(out / BAD_BATCH_FILE, json.dumps(batch) + "\n")
            raise
        if stop.asked and trainer.global_step < task.steps:
            raise Stopped(f"stopped at step {trainer.global_step} of {task.steps}")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAverage):
                callback.hand_over()
        header = header | {"steps": trainer.global_step, "trained": provenance.facts()}
        if first_rank():
            save_model(out / MODEL_FILE, task.net, header)
        return out / MODEL_FILE
    finally:
        logging.getLogger("toothgraph").removeHandler(handler)
        handler.close()


def accelerator(device: str) -> str:
    """Lightning's word for a device; ``auto`` is CUDA where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return "gpu" if device == "cuda" else device


def make_trainer(task: Task, out: Path) -> tuple[pl.Trainer, GentleStop]:
    """A Lightning trainer for a task, and what tells whether the user stopped it.

    Raises:
        ConfigError: if the device cannot compute in the precision asked for.
    """
    config = task.config
    bar = sys.stderr.isatty()
    stop = GentleStop()
    average = getattr(config, "average", 0.0)
    callbacks = [
        stop,
        *([WeightAverage(task.net, average)] if average else []),
        MetricsTable(out, list(task.val_columns), config.log_every, say=not bar),
        Checkpoints(out, config.checkpoint_every, task.monitor),
        *([TQDMProgressBar()] if bar else []),
    ]
    with quiet():
        trainer = pl.Trainer(
            accelerator=accelerator(config.device),
            devices=config.devices,
            num_nodes=config.nodes,
            strategy="ddp" if config.devices * config.nodes > 1 else "auto",
            use_distributed_sampler=False,  # ours knows the step, and so where a resumed run goes on
            accumulate_grad_batches=config.accumulate,
            deterministic=config.deterministic or None,
            precision=_PRECISION[config.precision],
            max_steps=task.steps,
            max_epochs=-1,
            val_check_interval=min(config.validate_every, task.steps) * config.accumulate,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            gradient_clip_val=config.clip or None,
            logger=TensorBoardLogger(str(out), name="", version="tensorboard"),
            log_every_n_steps=config.log_every,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=bar,
            enable_model_summary=False,
        )
    if config.precision == "16" and trainer.strategy.root_device.type == "cpu":
        raise ConfigError("precision 16 needs a GPU; on a CPU choose bf16 or 32")
    return trainer, stop


def check_finite(loss: torch.Tensor, scan_ids: list[str]) -> None:
    """Stop at the first loss that is not finite, and say which scans it came from.

    Raises:
        NotFinite: with the scans' names.
    """
    if not torch.isfinite(loss):
        raise NotFinite(loss.item(), scan_ids)
