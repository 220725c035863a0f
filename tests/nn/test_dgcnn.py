"""Edge MLPs of several layers: their derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from toothgraph.nn.kernels.norm_mish import norm_mish_linear


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_second_derivatives(training: bool, last: bool) -> None:
    torch.manual_seed(0)
    norm, linear = nn.BatchNorm1d(3).double(), nn.Linear(3, 4, bias=False).double()
    nn.init.normal_(norm.weight)
    norm.train(training)
    z = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    inputs = [z, norm.weight, norm.bias, *([linear.weight] if last else [])]

    def second(out: torch.Tensor) -> tuple[torch.Tensor, ...]:
        grads = torch.autograd.grad(out.sin().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in grads), inputs)

    ours = second(norm_mish_linear(z, norm, linear if last else None))
    plain = torch.nn.functional.mish(norm(z))
    for mine, theirs in zip(ours, second(linear(plain) if last else plain), strict=True):
        torch.testing.assert_close(mine, theirs)
