"""The graph that a network needs: number of faces and neighbour tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Data

from toothgraph.errors import check_kind, check_number
from toothgraph.graph.build import face_graph, surface_centre
from toothgraph.graph.fields import check_graph
from toothgraph.graph.neighbors import check_spacings, dilated_tables
from toothgraph.mesh.checks import check_generator
from toothgraph.mesh.decimate import Decimated, decimate
from toothgraph.mesh.mesh import Mesh, check_mesh

TESSELLATION_JITTER = 0.02  # mm; less than scanner noise, but enough to change which edges collapse
SIZE_SPREAD = 0.15  # maximum relative difference of the size of a tessellation from the size asked for


@dataclass(frozen=True)
class GraphSpec:
    """How a scan becomes a graph.

    Attributes:
        faces: larger scans are decimated to about this number of faces.
        k: neighbours per level of the table.
        spacings: mm between the candidate neighbours of each level, 0 for all nodes; empty for no table.
        along_surface: whether neighbours are the nearest along the face graph and not in space.

    Raises:
        ConfigError: if ``faces`` is below 1, if ``spacings`` are not increasing numbers of at least 0, or if ``k`` is
            below 1 (below 0 without spacings).

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> graph, coarse = scan_graph(arch, GraphSpec(faces=500, k=6, spacings=(0.0, 3.0)))
        >>> graph.neighbor_index.shape[0]  # two levels of 6 neighbours
        12
    """

    faces: int = 6000
    k: int = 12
    spacings: tuple[float, ...] = (0.0, 2.2, 6.0, 12.0)
    along_surface: bool = False

    def __post_init__(self) -> None:
        check_number("faces", self.faces, least=1, whole=True)
        check_spacings(self.spacings)
        check_number("k", self.k, least=1 if self.spacings else 0, whole=True)


def scan_graph(
    mesh: Mesh,
    spec: GraphSpec,
    rng: np.random.Generator | None = None,
    origin: np.ndarray | None = None,
    spread: float = SIZE_SPREAD,
    jitter: float = TESSELLATION_JITTER,
    workers: int = 1,
) -> tuple[Data, Decimated]:
    """Decimate a scan and build its graph with neighbour tables.

    Args:
        mesh: the scan.
        spec: sizes of the graph.
        rng: random generator, for a random tessellation; None gives the tessellation without noise.
        origin: [3] mm, the new origin; by default the centre of the surface.
        spread: maximum relative difference of the size of a random tessellation from ``spec.faces``.
        jitter: mm, standard deviation of the vertex noise of a random tessellation.
        workers: number of threads for the search of neighbours.

    Returns:
        The graph and the decimated mesh. The graph has ``neighbor_index`` [len(spacings)·k, N] int32 (half the memory
        of int64) and ``level`` [N], see :func:`dilated_tables`.

    Raises:
        MeshError: see :func:`toothgraph.mesh.decimate.decimate`.
        ConfigError: for levels that are not possible (see :func:`dilated_tables`), a ``spread`` outside of 0 to 1, or a
            ``jitter`` below 0.
        ShapeError: if ``mesh`` is not a Mesh or has no faces, if ``spec`` is not a GraphSpec, or if ``rng`` is not a
            random generator.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> graph, coarse = scan_graph(arch, GraphSpec(faces=500, k=6))
        >>> graph.num_nodes == len(coarse.mesh.faces), graph.neighbor_index.shape == (24, graph.num_nodes)
        (True, True)
    """
    check_mesh(mesh)
    check_kind("spec", spec, GraphSpec)
    if rng is None:
        coarse = decimate(mesh, spec.faces)
    else:
        check_generator(rng)
        check_number("spread", spread, least=0, most=1)
        coarse = decimate(mesh, round(spec.faces * rng.uniform(1 - spread, 1 + spread)), rng=rng, jitter=jitter)
    graph = face_graph(coarse.mesh, origin=surface_centre(mesh) if origin is None else origin)
    return add_tables(graph, spec, workers), coarse


def add_tables(graph: Data, spec: GraphSpec, workers: int = 1) -> Data:
    """Add the neighbour tables ``neighbor_index`` and ``level`` to a graph.

    The tables are computed from the positions of the nodes. Without spacings, nothing is added.

    Args:
        graph: has ``pos`` [N, 3] mm and, for neighbours along the surface, ``edge_index``.
        spec: the options of the tables. ``spec.faces`` is not used here; :func:`scan_graph` decimates a scan, too.
        workers: number of threads for the search of neighbours.

    Returns:
        The same graph.

    Raises:
        ShapeError: if one of these fields is missing, or if ``spec`` is not a GraphSpec.
        ConfigError: for levels that are not possible, see :func:`dilated_tables`.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> graph = add_tables(graph, GraphSpec(k=8, spacings=(0.0, 3.0)))
        >>> graph.neighbor_index.shape == (16, graph.num_nodes), int(graph.level.max())
        (True, 1)
    """
    check_kind("spec", spec, GraphSpec)
    check_graph(graph, "pos", *(("edge_index",) if spec.along_surface else ()))
    if spec.spacings:
        edges = graph.edge_index.numpy() if spec.along_surface else None
        table, level = dilated_tables(graph.pos.numpy(), spec.k, spec.spacings, edges, workers)
        graph.neighbor_index = torch.from_numpy(table.astype(np.int32))
        graph.level = torch.from_numpy(level)
    return graph
