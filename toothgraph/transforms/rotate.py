"""Rotation of a graph with its normals, for a chain of torch_geometric's transforms."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform

from toothgraph.errors import check_number
from toothgraph.graph.fields import check_graph
from toothgraph.transforms.augment import random_rotation
from toothgraph.transforms.crop import plain


class RandomRotate(BaseTransform):
    """Turn a graph at random, positions and normals alike.

    ``torch_geometric.transforms.RandomRotate`` turns ``pos`` alone: what is left of ``normal`` then belongs to another
    surface, and so do its pair features. This one turns ``pos``, ``normal``, and what ``x`` holds of them: all of it
    where it is that of :func:`toothgraph.graph.face_graph` (position, corners, normal), else the columns that are equal
    to ``pos`` or ``normal``. Each graph of a batch is turned on its own. It is drawn with the state of torch's
    generator, which a ``DataLoader`` seeds in each of its workers. For mirror images, scale and noise: :func:`augment`.

    Args:
        degrees: maximum angle about a random axis; 180, the default, means a uniformly random rotation.

    Shapes:
        - input and output: a graph, or a ``Batch``, with ``pos`` [N, 3] and ``normal`` [N, 3]

    Raises:
        ConfigError: for an angle that is not above 0 and at most 180.
        ShapeError: in a call with a graph without them.
    """

    def __init__(self, degrees: float = 180.0) -> None:
        check_number("degrees", degrees, above=0, most=180)
        self.degrees = float(degrees)

    def forward(self, data: Data) -> Data:
        if isinstance(data, Batch):
            return Batch.from_data_list([self.forward(graph) for graph in data.to_data_list()])
        check_graph(data, "pos", "normal")
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        matrix = torch.from_numpy(random_rotation(rng, self.degrees).T).to(data.pos)  # row vectors: v @ Rᵀ
        out = plain(data)
        out.pos, out.normal = data.pos @ matrix, data.normal @ matrix.to(data.normal.dtype)
        x = data.get("x")
        if isinstance(x, Tensor) and x.dim() == 2 and len(x) == len(data.pos):
            out.x = _turned(x, data, matrix)
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}(degrees={self.degrees:g})"


def _turned(x: Tensor, data: Data, matrix: Tensor) -> Tensor:
    """Features [N, C] with their vectors turned; the same tensor where they hold none."""
    last = x.shape[1] - 2
    starts = [c for c in range(last) if any(torch.equal(x[:, c : c + 3], data[name]) for name in ("pos", "normal"))]
    if x.shape[1] == 15 and (0 in starts or 12 in starts):  # of a face graph, perhaps with another origin
        starts = [0, 3, 6, 9, 12]
    if not starts:
        return x
    out = x.clone()
    for c in starts:
        out[:, c : c + 3] = x[:, c : c + 3] @ matrix.to(x.dtype)
    return out
