"""The optimiser and its learning rate."""

from __future__ import annotations

import math

import torch

from toothgraph.errors import ConfigError
from toothgraph.training.config import TrainingConfig


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """Learning rate at a step, as a share of the highest learning rate."""
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
    """Make the optimiser of a net.

    Biases and norms (tensors of one dimension) have no weight decay. A backbone may have a lower learning rate.
    """
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
    """The parameters of a net, grouped by their highest learning rate."""
    parts: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        slower = getattr(config, "backbone_rate", 1.0) if name.startswith("backbone.") else 1.0
        parts.setdefault(config.lr * slower, []).append(parameter)
    return parts
