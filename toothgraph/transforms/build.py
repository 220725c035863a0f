"""The first steps of a chain: a mesh becomes a face graph, and the graph gets its neighbour tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.errors import ShapeError, check_kind, check_number, from_numpy_hint
from toothgraph.fdi import UNKNOWN_JAW
from toothgraph.graph.build import classes_of, face_graph, surface_centre
from toothgraph.graph.spec import GraphSpec, add_tables
from toothgraph.mesh.clean import clean
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.majority import majority
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.stored import Stored
from toothgraph.transforms.base import GraphTransform


@dataclass(eq=False)
class FaceGraph(GraphTransform):
    """A mesh as a graph whose nodes are its faces, see :func:`toothgraph.graph.face_graph`.

    ``torch_geometric.transforms.FaceToEdge`` makes a graph whose nodes are the vertices. Here equal vertices are
    merged, and faces without area and repeated faces are removed. Together with ``NeighborTables``, this is what
    :func:`toothgraph.graph.scan_graph` does to make the input of the nets.

    Args:
        faces: a larger mesh is decimated to about this number of faces; None leaves it as it is.

    Shapes:
        - input: a :class:`toothgraph.Mesh`; or ``Data`` with ``pos`` [V, 3] mm and ``face`` [3, F], as
          torch_geometric reads it. ``Data`` may have ``y``, integers, -1 for unknown, also classes of your own: [F], or
          [V], from which a face takes the value of most of its corners. ``jaw`` and ``scan_id`` are kept.
        - output: a graph of N nodes: ``x`` [N, 15], ``pos``, ``normal`` [N, 3], ``area`` [N] mm², ``edge_index``
          [2, E], ``jaw`` [1], ``scan_id``, and ``y`` [N] if there are labels. From a mesh, ``y`` are the classes of its
          FDI numbers.

    Raises:
        ConfigError: for a number of faces below 1.
        ShapeError: in a call with something that is no mesh, or with ``y`` of another shape.
        LabelError: in a call with a mesh whose labels are no FDI numbers; put classes of your own into ``y``.
        MeshError: in a call, if a face has a vertex that does not exist, or no face has an area.

    Example:
        >>> from torch_geometric.data import Data
        >>> corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
        >>> square = Data(pos=corners, face=torch.tensor([[0, 1], [1, 3], [2, 2]]), y=torch.tensor([0, 1]))
        >>> FaceGraph()(square).edge_index.tolist()
        [[0, 1], [1, 0]]
    """

    faces: int | None = None

    def __post_init__(self) -> None:
        if self.faces is not None:
            check_number("faces", self.faces, least=1, whole=True)

    def _of_graph(self, data: Mesh | Data) -> Data:
        own = isinstance(data, Mesh)
        mesh = data if own else _mesh_of(data)
        coarse = mesh if self.faces is None else decimate(mesh, self.faces).mesh
        graph = face_graph(coarse.with_labels(None), origin=surface_centre(mesh))
        if coarse.labels is not None:
            graph.y = classes_of(coarse) if own else torch.from_numpy(coarse.labels)
        return graph


def _mesh_of(data: Data) -> Mesh:
    """The mesh in torch_geometric's ``Data``. Its labels are ``y``, which may be any classes."""
    pos, face = (data.get(name) for name in ("pos", "face")) if isinstance(data, Data) else (None, None)
    if not isinstance(pos, Tensor) or not isinstance(face, Tensor) or pos.shape[1:] != (3,) or face.shape[:1] != (3,):
        turned = isinstance(face, Tensor) and face.dim() == 2 and face.shape[1] == 3
        todo = "toothgraph.read_scan(file) reads one, and toothgraph.Mesh(vertices, faces) makes one of arrays"
        todo = "transpose face: face.t()" if turned else todo
        raise ShapeError(
            f"expected a mesh: a toothgraph.Mesh, or Data with pos [V, 3] and face [3, F], got {data!r}; {todo}"
        )
    name = str(data.get("scan_id", "mesh"))
    stored = Stored(pos.numpy().astype(np.float64), face.t().numpy().astype(np.int64))
    vertices, faces, original = clean(stored, 1.0, name)
    labels = _labels_of(data, original.polygon_of_face)
    jaw = int(data.get("jaw", UNKNOWN_JAW))
    return Mesh(vertices, faces, labels, jaw=jaw, scan_id=name)


def _labels_of(data: Data, kept: np.ndarray) -> np.ndarray | None:
    """Labels of the faces ``kept`` [F'], from ``y``; None without ``y``."""
    y, corners = data.get("y"), data.face.t().numpy()
    if y is None:
        return None
    if not isinstance(y, Tensor) or y.is_floating_point() or y.shape not in [(len(corners),), (len(data.pos),)]:
        found = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        found += from_numpy_hint("y", y)
        raise ShapeError(f"expected y as integers, [F = {len(corners)}] or [V = {len(data.pos)}], got {found}")
    labels = y.numpy().astype(np.int64)
    if len(labels) != len(corners):
        labels = majority(np.repeat(np.arange(len(corners)), 3), labels[corners].ravel(), None, len(corners))
    return labels[kept]


@dataclass(eq=False)
class NeighborTables(GraphTransform):
    """Add neighbour tables to a graph, see :func:`toothgraph.graph.add_tables`.

    Args:
        spec: specification of the tables; its number of faces is not used.

    Shapes:
        - input: ``pos`` [N, 3] mm
        - output: the graph with ``neighbor_index`` [len(spacings)·k, N] int32 and ``level`` [N]

    Raises:
        ShapeError: in a call with a graph without positions.

    Example:
        >>> from toothgraph import GraphSpec, synthetic_arch
        >>> from torch_geometric.transforms import Compose
        >>> chain = Compose([FaceGraph(1000), NeighborTables(GraphSpec(k=8, spacings=(0.0, 3.0)))])
        >>> graph = chain(synthetic_arch(1, jaw=0, faces=2000))
        >>> list(graph.neighbor_index.shape) == [16, graph.num_nodes]
        True
    """

    spec: GraphSpec = field(default_factory=GraphSpec)

    def __post_init__(self) -> None:
        check_kind("spec", self.spec, GraphSpec)

    def _of_graph(self, graph: Data) -> Data:
        return add_tables(graph, self.spec)  # of a copy: see GraphTransform
