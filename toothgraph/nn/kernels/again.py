"""Gradients that can be differentiated again, for functions with a backward pass that cannot."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from toothgraph.nn.kernels.precision import full_precision


def plain_gradients(
    function: Callable[..., Tensor], inputs: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of ``function(*inputs)``, computed with operations that torch can differentiate again.

    It is called in the backward pass of an ``autograd.Function`` under ``create_graph``, where gradients are enabled.

    Args:
        function: computes the same values as the ``autograd.Function``, with operations that torch can differentiate.
        inputs: saved tensors, or None.
        grad: gradient of the result of ``function``.

    Returns:
        One gradient, or None, for each input.
    """
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    with torch.enable_grad(), full_precision(grad):
        found = iter(torch.autograd.grad(function(*inputs), wanted, grad, create_graph=True))
    return [next(found) if x is not None and x.requires_grad else None for x in inputs]
