"""Rotation of a graph with its normals, for a chain of torch_geometric's transforms."""

from __future__ import annotations

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from toothgraph.errors import ConfigError
from toothgraph.graph.fields import check_fields
from toothgraph.transforms.augment import random_rotation
from toothgraph.transforms.crop import plain


class RandomRotate(BaseTransform):
    """Turn a graph at random, positions and normals alike.

    ``torch_geometric.transforms.RandomRotate`` turns ``pos`` alone: what is left of ``normal`` then belongs to another
    surface, and so do its pair features. This one turns ``pos``, ``normal``, and ``x`` where it is that of
    :func:`toothgraph.graph.face_graph` (position, corners, normal). It is drawn with the state of torch's generator,
    which a ``DataLoader`` seeds in each of its workers. For mirror images, scale and noise: :func:`augment`.

    Args:
        degrees: maximum angle about a random axis; 180, the default, means a uniformly random rotation.

    Shapes:
        - input and output: a graph with ``pos`` [N, 3] and ``normal`` [N, 3]

    Raises:
        ConfigError: for an angle that is not above 0 and at most 180.
        ShapeError: in a call with a graph without them.
    """

    def __init__(self, degrees: float = 180.0) -> None:
        if not 0 < degrees <= 180:
            raise ConfigError(f"expected degrees above 0 and at most 180, got {degrees!r}")
        self.degrees = float(degrees)

    def forward(self, data: Data) -> Data:
        check_fields(data, "pos", "normal")
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        matrix = torch.from_numpy(random_rotation(rng, self.degrees).T).to(data.pos)  # row vectors: v @ Rᵀ
        out = plain(data)
        out.pos, out.normal = data.pos @ matrix, data.normal @ matrix.to(data.normal.dtype)
        x = data.get("x")
        if x is not None and x.dim() == 2 and x.shape[1] == 15 and torch.equal(x[:, :3], data.pos):
            out.x = (x.view(-1, 5, 3) @ matrix).flatten(1)
        return out

    def __repr__(self) -> str:
        return f"{type(self).__name__}(degrees={self.degrees:g})"
