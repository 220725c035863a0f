"""The Lightning module of a training run: a net with its data and options."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch

from toothgraph.data.loading import LabelledGraphs, StepLoader, StepSampler, ViewPairs
from toothgraph.errors import DataError
from toothgraph.model.nets import ContrastiveNet, SegmentationNet
from toothgraph.seeding import batch_seed
from toothgraph.system.signals import outlive_sigterm
from toothgraph.training.config import TrainingConfig
from toothgraph.training.optimizer import make_optimizer, rate_factor
from toothgraph.training.sides import Sides


class NotFinite(DataError):
    """The loss of a batch is not finite; ``scan_ids`` are the scans of the batch."""

    def __init__(self, loss: float, scan_ids: list[str]) -> None:
        super().__init__(f"the loss became {loss} on the scans {', '.join(scan_ids)}; try a lower --lr")
        self.scan_ids = scan_ids


Draws = ViewPairs | LabelledGraphs  # datasets that are indexed by (epoch, index of the scan)


class Task(pl.LightningModule):
    """A net with its data and options. Subclasses define the training and validation steps.

    Args:
        net: the net to train.
        config: options.
        train, val: datasets that are indexed by (epoch, index of the scan).
        join: function that collates samples into a batch.
    """

    work = ""  # name of this work in a progress display
    monitor = ""
    monitor_is = ""  # what the monitored metric is, in plain words
    val_columns: tuple[str, ...] = ()
    sides: Sides

    def __init__(
        self, net: ContrastiveNet | SegmentationNet, config: TrainingConfig, train: Draws, val: Draws, join: Any
    ) -> None:
        super().__init__()
        self.net, self.config = net, config
        self._train, self._val, self._join = train, val, join
        self.steps = count_steps(config, len(train))
        self.validates = len(val) > 0

    def finish(self, stop: Callable[[], bool]) -> bool:
        """Do what is left after the last step. True if it was done, False if ``stop`` ended it."""
        del stop
        return True

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
            len(self._train),
            self.config.batch,
            self.config.seed,
            self.steps * self.config.accumulate,
            start=self.trainer.global_step * self.config.accumulate,
            rank=self.trainer.global_rank,
            ranks=self.trainer.world_size,
        )
        return self._loader(self._train, sampler)

    def val_dataloader(self) -> StepLoader:
        size = len(self._val)
        return self._loader(self._val, StepSampler(size, 1, self.config.seed + 1, size))

    def _loader(self, dataset: Draws, sampler: StepSampler) -> StepLoader:
        return StepLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=self._join,
            num_workers=self.config.workers,
            worker_init_fn=outlive_sigterm,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        del dataloader_idx
        return batch.to(device, non_blocking=True)  # from pinned memory, while the previous step is computed


def count_steps(config: TrainingConfig, num_scans: int) -> int:
    """Number of steps of a run: as many as ``epochs`` need if given, else ``steps``."""
    if config.epochs is None:
        return config.steps
    return max(1, math.ceil(config.epochs * num_scans / scans_per_step(config)))


def scans_per_step(config: TrainingConfig) -> int:
    """Number of scans in one optimiser step, over all processes."""
    return config.batch * config.devices * config.nodes * config.accumulate


def check_finite(loss: torch.Tensor, scan_ids: list[str]) -> None:
    """Raise an error if a loss is not finite.

    Raises:
        NotFinite: with the names of the scans.
    """
    if not torch.isfinite(loss):
        raise NotFinite(loss.item(), scan_ids)


def check_number(loss: torch.Tensor, scan_ids: list[str]) -> None:
    """Raise an error if the loss of a validation is not a number: the last step has spoiled the net.

    The other scores of such a net may look plausible.

    Raises:
        NotFinite: with the names of the scans.
    """
    if torch.isnan(loss):
        raise NotFinite(loss.item(), scan_ids)
