"""Activation checkpointing: inner values that are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(net: nn.Module, function: Callable[..., Tensor], *args: Any) -> Tensor:
    """``function(*args)``, of which only the arguments are kept; it must draw nothing at random.

    Args:
        net: the module that computes it, whose batch norms then track their statistics once.
        function: ``net`` itself or a method of it.
        args: its arguments.
    """
    if not torch.is_grad_enabled():
        return function(*args)
    found: Tensor = checkpoint(
        function, *args, use_reentrant=False, preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _untracked(net)),
    )  # fmt: skip
    return found


@contextmanager
def _untracked(net: nn.Module) -> Iterator[None]:
    """Batch norms inside it track their statistics in copies that are then thrown away."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]
    kept = [dict(norm.named_buffers()) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, tensor in buffers.items():
                setattr(norm, name, tensor.clone())
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, tensor in buffers.items():
                setattr(norm, name, tensor)
