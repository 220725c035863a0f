"""Scans read into memory as graphs, several tessellations of each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from toothgraph.data.seeding import sample_rng
from toothgraph.data.split import patient_of
from toothgraph.errors import DataError, MemoryShortage, ToothgraphError
from toothgraph.graph.build import surface_centre
from toothgraph.graph.spec import GraphSpec, scan_graph
from toothgraph.memory import named_shortage
from toothgraph.mesh.base import with_base
from toothgraph.mesh.find import find_scans
from toothgraph.mesh.frame import outside_out, turned, upright_rotation
from toothgraph.mesh.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.palette import Palette
from toothgraph.mesh.read import read_mesh

NOISE = (0.01, 0.06)  # mm, of a scanner: some are smoother than others
SPREAD = 0.35  # of the sizes of tessellations: other scanners' meshes are finer or coarser on the teeth

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Scan:
    """One scan, ready to draw samples from.

    Attributes:
        scan_id: its name.
        variants: its graphs, each of another tessellation, all in the scan's own frame.
        patient: by default what its name says, see :func:`toothgraph.data.patient_of`.
    """

    scan_id: str
    variants: Sequence[Data]
    patient: str = ""

    def __post_init__(self) -> None:
        if not self.patient:
            object.__setattr__(self, "patient", patient_of(self.scan_id))

    @property
    def labelled(self) -> bool:
        """Whether any node has a known class."""
        graph = self.variants[0]
        return "y" in graph and bool((graph.y >= 0).any())


def prepare_scan(mesh: Mesh, spec: GraphSpec, variants: int, seed: int, bases: int = 0) -> Scan:
    """Build a scan's graphs: the plain tessellation first, then drawn ones.

    A labelled scan is turned upright first, so that whatever frame it comes in, the net learns the one it works in;
    one that then opens towards the bite is wound inside out, and is turned back.

    Args:
        mesh: the scan.
        spec: sizes of a graph.
        variants: how many tessellations.
        seed: what the drawn ones depend on, besides the scan's name.
        bases: how many of the drawn ones stand on a model base.
    """
    rotation = upright_rotation(mesh)
    if (right := outside_out(mesh, rotation)) is not mesh:
        _log.warning("%s: its faces are wound inside out; they are turned round", mesh.scan_id)
    mesh = right if rotation is None else turned(right, rotation)
    graphs, origin = [], surface_centre(mesh)  # one origin for all
    for number in range(variants):
        rng = sample_rng(seed, 0, mesh.scan_id, 1000 + number) if number else None
        based = mesh if rng is None or number < variants - bases else with_base(mesh, rng)
        noise = rng.uniform(*NOISE) if rng else 0.0
        graphs.append(scan_graph(based, spec, rng, origin, SPREAD, noise)[0])
    return Scan(mesh.scan_id, graphs)


def short_names(files: Sequence[Path]) -> list[str]:
    """The stem of each file, with the folder's name before it for all scans of a patient one of whose stems is not
    unique: both jaws of one keep one patient."""
    return renamed([path.stem for path in files], [f"{path.parent.name}_{path.stem}" for path in files])


def renamed(names: Sequence[str], longer: Sequence[str], keys: Sequence[str] | None = None) -> list[str]:
    """The names, but longer ones for all scans of the patients one of whose names, or ``keys``, stands twice."""
    keys = names if keys is None else keys
    count = Counter(keys)
    unclear = {patient_of(name) for name, key in zip(names, keys, strict=True) if count[key] > 1}
    return [full if patient_of(name) in unclear else name for name, full in zip(names, longer, strict=True)]


def scan_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, with the folder's name before it where stems are not unique, see
    :func:`short_names`.

    Raises:
        DataError: if two files still share a name.
    """
    names = short_names(files)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        same = [str(path) for path, name in zip(files, names, strict=True) if name == twice[0]]
        raise DataError(f"several scans share the name {twice[0]}: {', '.join(same[:3])}; rename them")
    return names


def read_scans(
    paths: Iterable[str | Path],
    spec: GraphSpec,
    *,
    variants: int,
    seed: int,
    bases: int = 0,
    unit: str = "mm",
    palette: Palette | None = None,
    numbering: str = "auto",
    labels: bool = True,
    keep: Callable[[str], bool] = lambda scan_id: True,
    progress: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> list[Scan]:
    """Read all scans under the given files and folders.

    A scan that cannot be used is named in the log with its reason and left out.

    Args:
        paths: files and folders.
        spec, variants, seed, bases: see :func:`prepare_scan`.
        unit: the files' unit of length.
        palette: what face or vertex colours mean.
        numbering: the system of the labels; see :func:`toothgraph.mesh.labels.read_scan`.
        labels: whether to look for labels at all.
        keep: which scans to read at all, by name.
        progress: wraps the list of files while it is worked through.

    Raises:
        DataError: if no scan can be used, or two share a name.
        MemoryShortage: if there is not enough for all of them.
    """
    files = find_scans(list(paths))
    names = scan_names(files)
    wanted = {path: name for path, name in zip(files, names, strict=True) if keep(name)}
    scans = []
    for path in progress(list(wanted)):
        try:
            with named_shortage(path, "prepare the scans (toothgraph prepare), which keeps them on disk"):
                if labels:
                    mesh = read_scan(path, unit=unit, palette=palette, numbering=numbering)
                else:
                    mesh = read_mesh(path, unit=unit)
                mesh = replace(mesh, scan_id=wanted[path])
                scans.append(prepare_scan(mesh, spec, variants, seed, bases))
        except MemoryShortage:  # no fault of the scan alone: those that follow would be left out as well
            raise
        except ToothgraphError as error:
            _log.warning("left out: %s", error)
    if not scans:
        raise DataError(f"none of the {len(files)} scans found can be used here ({len(wanted)} were wanted)")
    return scans


def plain(graph: Data) -> Data:
    """A shallow copy of a stored graph, for a batch."""
    return Data(**dict(graph.items()))


class Unlabelled(Sequence[Data]):
    """Graphs with their labels and jaw taken away, one when it is asked for."""

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
    """The same scan with its labels taken away, so that pre-training cannot see them."""
    return replace(scan, variants=Unlabelled(scan.variants))
