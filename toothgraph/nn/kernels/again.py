"""Gradients that can be differentiated again, for functions whose own backward pass cannot."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toothgraph.nn.kernels.precision import full_precision


def plain_gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of ``function(*inputs)``, computed with plain operations, so that they have gradients.

    For the backward pass of an ``autograd.Function`` under ``create_graph``: there, gradients are enabled.

    Args:
        function: the same values by operations that torch can differentiate.
        inputs: saved tensors, or None.
        grad: of its result.

    Returns:
        One gradient, or None, for each input.
    """
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    with torch.enable_grad(), full_precision(grad):
        found = iter(torch.autograd.grad(function(*inputs), wanted, grad, create_graph=True))
    return [next(found) if x is not None and x.requires_grad else None for x in inputs]
