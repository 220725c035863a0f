"""Activation checkpointing: inner values are not kept; the backward pass computes them again.

Source: Chen et al., 2016, https://arxiv.org/abs/1604.06174
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(net: nn.Module, function: Callable[..., Tensor], *args: Any) -> Tensor:
    """``function(*args)``, with only the arguments kept for the backward pass.

    ``function`` must not use random numbers. Under ``torch.compile``, the compiler chooses what is kept.

    Args:
        net: the module that computes ``function``; its batch norms update their running statistics only once.
        function: ``net`` itself or one of its methods.
        args: the arguments.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(*args)
    found: Tensor = checkpoint(
        function, *args, use_reentrant=False, preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _untracked(net)),
    )  # fmt: skip
    return found


@contextmanager
def _untracked(net: nn.Module) -> Iterator[None]:
    """A context in which batch norms update copies of their running statistics, which are then discarded."""
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
