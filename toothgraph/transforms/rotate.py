"""Rotation of a graph with its normals, for a chain of torch_geometric's transforms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.errors import check_number
from toothgraph.graph.fields import check_graph
from toothgraph.transforms.augment import random_rotation
from toothgraph.transforms.base import RandomTransform
from toothgraph.transforms.crop import plain


@dataclass(eq=False)
class RandomRotate(RandomTransform):
    """Rotate a graph at random, positions and normals together.

    ``torch_geometric.transforms.RandomRotate`` rotates only ``pos``: the normals, and pair features made from them,
    then belong to another surface. This transform rotates ``pos``, ``normal`` and the vectors in ``x``. These are all
    columns of ``x`` if it is the one of :func:`toothgraph.graph.face_graph` (position, corners, normal), else the
    columns that are equal to ``pos`` or ``normal``. It is the rotation of :func:`augment`, for any graph with normals;
    :func:`augment` also mirrors, scales and adds noise.

    Args:
        degrees: maximum angle about a random axis; 180, the default, means a uniformly random rotation.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input and output: a graph with ``pos`` [N, 3] and ``normal`` [N, 3]

    Raises:
        ConfigError: for an angle that is not above 0 and at most 180.
        ShapeError: in a call with a graph without ``pos`` or ``normal``.

    Example:
        >>> from torch_geometric.data import Data
        >>> graph = Data(pos=torch.eye(3), normal=torch.eye(3))
        >>> turned = RandomRotate()(graph)
        >>> torch.equal(turned.pos, turned.normal), torch.equal(turned.pos, graph.pos)
        (True, False)
    """

    degrees: float = 180.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("degrees", self.degrees, above=0, most=180)

    def _of_graph(self, graph: Data) -> Data:
        check_graph(graph, "pos", "normal")
        matrix = torch.from_numpy(random_rotation(self.generator(), self.degrees).T).to(graph.pos)  # rows: v @ Rᵀ
        out = plain(graph)
        out.pos, out.normal = graph.pos @ matrix, graph.normal @ matrix.to(graph.normal.dtype)
        x = graph.get("x")
        if isinstance(x, Tensor) and x.dim() == 2 and len(x) == len(graph.pos):
            out.x = _turned(x, graph, matrix)
        return out


def _turned(x: Tensor, data: Data, matrix: Tensor) -> Tensor:
    """Features [N, C] with their vectors rotated; the same tensor if they hold no vectors."""
    if not x.is_floating_point():
        return x
    vectors = [data[name].to(x.dtype) for name in ("pos", "normal")]
    starts = [c for c in range(x.shape[1] - 2) if any(torch.equal(x[:, c : c + 3], each) for each in vectors)]
    if (0 in starts or 12 in starts) and _of_face_graph(x):  # ``pos`` may have another origin
        starts = [0, 3, 6, 9, 12]
    if not starts:
        return x
    out = x.clone()
    for c in starts:
        out[:, c : c + 3] = x[:, c : c + 3] @ matrix.to(x.dtype)
    return out


def _of_face_graph(x: Tensor) -> bool:
    """Whether columns 3 to 11 of x [N, 15] are corners relative to their centre: then they add up to 0 in each row."""
    if x.shape[1] != 15:
        return False
    corners = x[:, 3:12].unflatten(1, (3, 3)).double()
    rounding = 0.05 * corners.square().mean().sqrt()  # enough also for half precision
    return bool((corners.sum(dim=1).abs() <= rounding).all())
