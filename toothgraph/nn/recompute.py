"""Activation checkpointing: inner values are not kept; the backward pass computes them again.

Source: Chen et al., 2016, https://arxiv.org/abs/1604.06174
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
        context_fn=lambda: (nullcontext(), _Untracked(net)),
    )  # fmt: skip
    return found


class _Untracked(AbstractContextManager[None]):
    """A context in which batch norms update copies of their running statistics, which are then discarded.

    It is entered once for each backward pass, of which there may be several.

    Args:
        net: the module whose batch norms these are.
    """

    def __init__(self, net: nn.Module) -> None:
        self._norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]
        self._kept: list[dict[str, Tensor]] = []

    def __enter__(self) -> None:
        self._kept = [dict(norm.named_buffers()) for norm in self._norms]
        self._set([{name: tensor.clone() for name, tensor in buffers.items()} for buffers in self._kept])

    def __exit__(self, *error: object) -> None:
        self._set(self._kept)

    def _set(self, buffers: list[dict[str, Tensor]]) -> None:
        for norm, own in zip(self._norms, buffers, strict=True):
            for name, tensor in own.items():
                setattr(norm, name, tensor)
