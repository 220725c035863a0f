"""EdgeConv without edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.errors import ConfigError


def gather_max(x: Tensor, neighbor_index: Tensor, padded: bool = False, backend: str = "native") -> Tensor:
    """Per node and channel, the maximum over its neighbours, without building the edges.

    Args:
        x: [M, C] values of the nodes that can be neighbours.
        neighbor_index: [k, N] neighbours of each node.
        padded: an index of M stands for no neighbour; a node that has none gets 0.
        backend: ``native`` (torch alone) or ``scatter`` (torch-scatter, the extra ``toothgraph[scatter]``).

    Returns:
        [N, C]. Gradients flow to the neighbour that won; of equal ones, to one.

    Raises:
        ConfigError: for an unknown backend, or one that is not installed.
    """
    bags = neighbor_index.t().contiguous()  # [N, k]
    if backend == "native":
        if padded:
            return F.embedding_bag(bags, F.pad(x, (0, 0, 0, 1)), mode="max", padding_idx=len(x))
        return F.embedding_bag(bags, x, mode="max")
    if backend == "scatter":
        return _scatter_max(x, bags, padded)
    raise ConfigError(f'expected a backend of "native" or "scatter", got {backend!r}')


def _scatter_max(x: Tensor, bags: Tensor, padded: bool) -> Tensor:
    try:
        from torch_scatter import segment_csr
    except ImportError as error:
        raise ConfigError("the backend scatter needs torch-scatter: pip install toothgraph[scatter]") from error
    kept = bags.flatten()
    size = torch.full_like(bags[:, 0], bags.shape[1])  # [N]
    if padded:
        there = bags < len(x)
        kept, size = bags[there], there.sum(dim=1)
    ends = F.pad(size.cumsum(0), (1, 0))  # [N + 1]
    return segment_csr(x[kept], ends, reduce="max")  # a node without neighbours gets 0


class FastEdgeConv(nn.Module):
    r"""EdgeConv with a single linear layer, factorised (Wang et al., ACM TOG 2019, eq. 8).

    .. math::
        x_i' = \max_{j \in N(i)} W [x_i, x_j - x_i] + b
             = (W_a - W_b) x_i + b + \max_{j \in N(i)} W_b x_j

    The right-hand side needs two products over nodes and one gather-maximum: O(N·C) memory, where the
    left-hand side needs O(N·k·C). Both are equal up to rounding. A monotone activation or a normalisation
    with positive scale may follow and equals the same inside the maximum.

    The products and the gather run in float32 under autocast: ``a_i + b_j`` rebuilds ``x_j - x_i`` by
    cancellation, which half precision would not survive.

    Args:
        in_channels: C_in.
        out_channels: C_out.

    Shapes:
        - input: ``x`` [N, C_in], ``neighbor_index`` [k, N]
        - output: [N, C_out]
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.lin = nn.Linear(2 * in_channels, out_channels)

    def forward(self, x: Tensor, neighbor_index: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.lin.weight.dtype)
            own, difference = self.lin.weight.split(self.in_channels, dim=1)
            a = F.linear(x, own - difference, self.lin.bias)  # [N, C_out]
            b = F.linear(x, difference)  # [N, C_out]
            return a + gather_max(b, neighbor_index)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


class CrossEdgeConv(nn.Module):
    """Factorised EdgeConv from one set of nodes to another: ``A x_i + b + max_j B y_j``.

    Args:
        source_channels, target_channels, out_channels: widths.

    Shapes:
        - input: ``source`` [M, C_s], ``target`` [N, C_t], ``neighbor_index`` [k, N] into source, M for none
        - output: [N, C_out]
    """

    def __init__(self, source_channels: int, target_channels: int, out_channels: int) -> None:
        super().__init__()
        self.source = nn.Linear(source_channels, out_channels, bias=False)
        self.target = nn.Linear(target_channels, out_channels)

    def forward(self, source: Tensor, target: Tensor, neighbor_index: Tensor) -> Tensor:
        with torch.autocast(source.device.type, enabled=False):
            dtype = self.source.weight.dtype
            gathered = gather_max(self.source(source.to(dtype)), neighbor_index, padded=True)
            return self.target(target.to(dtype)) + gathered
