"""Scans in memory, as graphs of several tessellations."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from toothgraph.anatomy.frame import outside_out, turned, upright_rotation
from toothgraph.graph.build import surface_centre
from toothgraph.graph.spec import GraphSpec, scan_graph
from toothgraph.mesh.label_origin import LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.scan_names import patient_of
from toothgraph.seeding import sample_rng
from toothgraph.synthetic.model_base import with_base
from toothgraph.transforms.crop import plain

NOISE = (0.01, 0.06)  # mm, noise added to tessellations; scanners differ in smoothness
SPREAD = 0.35  # relative spread of tessellation sizes; scanners differ in mesh size on the teeth

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Scan:
    """One scan, ready for sampling.

    Attributes:
        scan_id: name of the scan.
        variants: graphs of the scan, each of another tessellation, all in the frame of the scan.
        patient: name of the patient; by default from ``scan_id``, see :func:`toothgraph.scan_names.patient_of`.
        label_origin: where the labels come from.
        source: path of the file, as given; None if it is not known.
        digest: a hash that changes with the graphs: with the surface, the labels and the way the graphs are made.
    """

    scan_id: str
    variants: Sequence[Data]
    patient: str = ""
    label_origin: LabelOrigin = field(default_factory=LabelOrigin)
    source: Path | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.patient:
            object.__setattr__(self, "patient", patient_of(self.scan_id))

    @property
    def jaw(self) -> int:
        """0 upper, 1 lower, -1 unknown."""
        return int(self.variants[0].jaw)

    @property
    def labelled(self) -> bool:
        """Whether any node has a known class."""
        graph = self.variants[0]
        return "y" in graph and bool((graph.y >= 0).any())


def prepare_scan(mesh: Mesh, spec: GraphSpec, variants: int, seed: int, bases: int = 0) -> Scan:
    """Build the graphs of a scan: first the tessellation without noise, then random ones.

    A labelled scan is first rotated into the frame of the networks, see :mod:`toothgraph.anatomy.frame`. If its faces
    are wound inside out, they are reversed.

    Args:
        mesh: the scan.
        spec: specification of a graph.
        variants: number of tessellations.
        seed: seed of the random tessellations; the scan's name is part of it.
        bases: number of random tessellations with a model base.
    """
    rotation = upright_rotation(mesh)
    if (right := outside_out(mesh, rotation)) is not mesh:
        _log.warning("%s: its surface is inside out; all faces are turned round", mesh.scan_id)
    mesh = right if rotation is None else turned(right, rotation)
    graphs, origin = [], surface_centre(mesh)  # one origin for all
    for number in range(variants):
        rng = sample_rng(seed, 0, mesh.scan_id, 1000 + number) if number else None
        based = mesh if rng is None or number < variants - bases else with_base(mesh, rng)
        noise = rng.uniform(*NOISE) if rng else 0.0
        graphs.append(scan_graph(based, spec, rng, origin, SPREAD, noise)[0])
    return Scan(mesh.scan_id, graphs, label_origin=mesh.label_origin, digest=_digest(graphs))


def _digest(graphs: Sequence[Data]) -> str:
    """A hash of the faces and labels of graphs, 16 hexadecimal digits."""
    total = hashlib.sha256()
    for graph in graphs:
        for name in ("x", "y"):
            if name in graph:
                total.update(graph[name].contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


class Unlabelled(Sequence[Data]):
    """Graphs whose labels and jaw are removed at access."""

    def __init__(self, graphs: Sequence[Data]) -> None:
        self.graphs = graphs

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice):
            return Unlabelled(self.graphs[which])
        graph = plain(self.graphs[which])
        if "y" in graph:
            del graph.y
        graph.jaw = torch.tensor([-1])
        return graph


def without_labels(scan: Scan) -> Scan:
    """A copy of a scan without labels and jaw, so that pre-training cannot use them."""
    return replace(scan, variants=Unlabelled(scan.variants))
