"""Geometry of pairs of surface points that does not depend on the pose of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn
from torch_geometric.nn.inits import reset

from toothgraph.errors import ConfigError, check_number
from toothgraph.nn.checks import (
    check_count,
    check_device,
    check_points,
    check_table,
    check_weights,
    described,
    warn_of_other_normals,
)
from toothgraph.nn.edge_mlp import are_plain, flattened
from toothgraph.nn.kernels.pair_geometry import pair_maximum, shortest

PAIR_CHANNELS = 6


def pair_features(pos: Tensor, normal: Tensor, neighbor_index: Tensor, scale: float) -> Tensor:
    """Rotation- and translation-invariant geometry of each node and each of its neighbours.

    With d = p_j − p_i, u = d/‖d‖ and unit normals n_i, n_j:

    ====  ================  ===========================================
    0     ‖d‖ / scale       distance
    1     n_i·d / scale     height above the node's tangent plane
    2     n_i·u             angle between the node's normal and the line
    3     n_j·u             the same at the neighbour
    4     n_i·n_j           angle between the normals
    5     (n_i × n_j)·u     handedness: differs for a mirror image
    ====  ================  ===========================================

    A neighbour that is the node itself, or at its place, has d = 0: features 0, 0, 0, 0, cos, 0. There u is 0, with no
    gradient.

    Args:
        pos: [N, 3] mm.
        normal: [N, 3] unit normals.
        neighbor_index: [k, N].
        scale: mm, unit of the distances.

    Returns:
        [k, N, 6].

    Raises:
        ShapeError: for other shapes or, on a CPU, if a neighbour does not exist.
        ConfigError: for a scale that is not above 0.

    Example:
        >>> pos, up = torch.tensor([[0.0, 0, 0], [0, 0, 2]]), torch.tensor([[0.0, 0, 1], [0, 0, 1]])
        >>> pair_features(pos, up, torch.tensor([[1, 0]]), scale=2.0)[0]  # one point straight above the other
        tensor([[ 1.,  1.,  1.,  1.,  1.,  0.],
                [ 1., -1., -1., -1.,  1.,  0.]])
    """
    check_points(pos, normal)
    check_table(neighbor_index, len(pos))
    check_device(pos, "pos", normal=normal, neighbor_index=neighbor_index)
    check_number("a scale (mm)", scale, above=0)
    return _features(pos, normal, neighbor_index, scale)


def _features(pos: Tensor, normal: Tensor, neighbor_index: Tensor, scale: float) -> Tensor:
    d = pos[neighbor_index] - pos  # [k, N, 3]
    far = normal[neighbor_index]  # [k, N, 3]
    near = normal.expand_as(far)
    length = d.norm(dim=-1, keepdim=True)
    same = length == 0  # of nodes at one place: no direction, and no gradient of it
    u = (d / length.masked_fill(same, 1.0).clamp_min(shortest(length))).masked_fill(same, 0.0)
    return torch.stack(
        [
            length.squeeze(-1) / scale,
            (near * d).sum(-1) / scale,
            (near * u).sum(-1),
            (far * u).sum(-1),
            (near * far).sum(-1),
            (torch.linalg.cross(near, far) * u).sum(-1),
        ],
        dim=-1,
    )


class PairGeometryConv(nn.Module):
    """First layer of a net: an edge MLP on :func:`pair_features` at each level of a table, and the maximum over edges.

    On a CPU, it warns if normals are not perpendicular to the surface, as after a rotation of the positions alone.

    Args:
        k: neighbours per level of the table.
        scales: mm, one per level: the typical distance of neighbours at that level.
        channels: output channels per level.
        hidden: hidden channels of the edge MLP; few, because they are computed for every edge.

    Shapes:
        - input: ``pos`` [N, 3], ``normal`` [N, 3], ``neighbor_index`` [len(scales)·k, N]
        - output: [N, len(scales)·channels]

    Raises:
        ConfigError: if an option is not above 0, or there are no scales.
        ShapeError: in a call with other shapes and, on a CPU, with neighbours that do not exist.

    Example:
        >>> pos, normal = torch.rand(5, 3), torch.eye(3)[[0, 1, 2, 0, 1]]
        >>> neighbor_index = torch.tensor([[1, 2, 3, 4, 0], [2, 3, 4, 0, 1]])
        >>> PairGeometryConv(k=2, scales=(1.0,), channels=8)(pos, normal, neighbor_index).shape
        torch.Size([5, 8])
    """

    def __init__(self, k: int, scales: Sequence[float], channels: int, hidden: int = 16) -> None:
        super().__init__()
        for name, value in (("k", k), ("channels", channels), ("hidden", hidden)):
            check_count(name, value)
        fits = isinstance(scales, Sequence) and scales and all(isinstance(each, Real) and each > 0 for each in scales)
        if not fits:
            found = list(scales) if isinstance(scales, Sequence) else described(scales)
            raise ConfigError(f"expected scales (mm) as a sequence, one per level, each above 0, got {found}")
        self.k = k
        self.scales = tuple(scales)
        self.out_channels = len(self.scales) * channels
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(PAIR_CHANNELS, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
            for _ in self.scales
        )

    def reset_parameters(self) -> None:
        """Set the weights to new random values, as in a new layer."""
        reset(self.mlps)

    def forward(self, pos: Tensor, normal: Tensor, neighbor_index: Tensor) -> Tensor:
        check_points(pos, normal)
        count = len(self.scales)
        why = f"{self.k} neighbours for each of {count} scales"
        check_table(neighbor_index, pos.shape[0], rows=self.k * count, why=why)
        check_device(pos, "pos", normal=normal, neighbor_index=neighbor_index)
        levels = neighbor_index.split(self.k)
        warn_of_other_normals(pos, normal, levels[0])
        moving = torch.is_grad_enabled() and (pos.requires_grad or normal.requires_grad)
        outs = []
        for mlp, level, scale in zip(self.mlps, levels, self.scales, strict=True):
            parts = flattened(mlp)
            plain = are_plain(parts, (nn.Linear, nn.ReLU, nn.Linear)) and None not in (parts[0].bias, parts[2].bias)
            if plain:
                check_weights(next(mlp.parameters()), pos, "pos")
            if moving or not plain or torch.compiler.is_compiling() or level.numel() == 0:
                features = _features(pos, normal, level, scale)
                outs.append(mlp(features.to(next(mlp.parameters()).dtype)).amax(dim=0))
            else:
                outs.append(pair_maximum(pos, normal, level, scale, mlp))
        return torch.cat(outs, dim=1)
