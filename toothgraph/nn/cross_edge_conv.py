"""Factorised EdgeConv from one set of nodes to another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn.inits import reset

from toothgraph.nn.checks import check_device, check_weights
from toothgraph.nn.kernels.gather import gather_max
from toothgraph.nn.kernels.precision import full_precision


def added(fresh: Tensor, other: Tensor) -> Tensor:
    """The sum of two tensors. Without gradients, it overwrites ``fresh``, because new memory takes longer to get."""
    return fresh + other if torch.is_grad_enabled() else fresh.add_(other)


class CrossEdgeConv(nn.Module):
    """Factorised EdgeConv from one set of nodes to another: ``A x_i + b + max_j B y_j``.

    Args:
        source_channels, target_channels, out_channels: C_s, C_t and C_out.

    Shapes:
        - input: ``source`` [M, C_s], ``target`` [N, C_t], ``neighbor_index`` [k, N] of sources; M means no neighbour
        - output: [N, C_out]
    """

    def __init__(self, source_channels: int, target_channels: int, out_channels: int) -> None:
        super().__init__()
        self.source = nn.Linear(source_channels, out_channels, bias=False)
        self.target = nn.Linear(target_channels, out_channels)

    def reset_parameters(self) -> None:
        """Set the weights to new random values, as in a new layer."""
        reset(self.source)
        reset(self.target)

    def forward(self, source: Tensor, target: Tensor, neighbor_index: Tensor) -> Tensor:
        check_device(target, "target", source=source, neighbor_index=neighbor_index)
        check_weights(self.source.weight, source, "source")
        with full_precision(source):
            dtype = self.source.weight.dtype
            gathered = gather_max(self.source(source.to(dtype)), neighbor_index, padded=True)
            return added(gathered, self.target(target.to(dtype)))
