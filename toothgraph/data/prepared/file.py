"""Prepared scans: one file of graphs per scan, ready for training; one tessellation is read at a time.

A file is in the safetensors format: tensors named ``<tessellation>.<field>`` and a JSON header. The integer fields of a
face graph, and int64 values of any other field, are stored in the smallest type that fits. Positions and normals that
are columns of ``x`` are not stored again. Other fields, which a transform added, are stored as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.data.scan import Scan
from toothgraph.errors import DataError
from toothgraph.mesh.label_origin import GIVEN, LabelOrigin
from toothgraph.system.files import atomic_path

FORMAT = "toothgraph-scan-2"  # increased if the stored data, or the way from scans to graphs, changes
SUFFIX = ".safetensors"
_NEEDED = ("x", "area", "edge_index")
_WHOLE = {"edge_index": torch.int64, "level": torch.int64, "y": torch.int64, "neighbor_index": torch.int32}
_AS_GIVEN = "as_given"  # optional key of the header: names of integer tensors stored in their own type
_IN_X = {"pos": slice(0, 3), "normal": slice(12, 15)}
_IN_HEADER = ("jaw", "scan_id")


@dataclass(frozen=True)
class Header:
    """The header of a prepared scan.

    Attributes:
        scan_id, patient: names of scan and patient.
        source: path of the input file, as given.
        sha256: hash of that file and of its labels.
        options: digest of the options.
        jaw: 0 upper, 1 lower, -1 unknown.
        faces: number of faces of the input.
        labelled: whether any face has a known class.
        tessellations: number of graphs.
        version: version of toothgraph.
        labels: origin of the labels: ``given``, ``found`` or ``corrected``.
        found_by: the model that found the labels; empty if it is not known.
        guessed: the label system that was guessed from the numbers of the labels; empty if it was told.
    """

    scan_id: str
    patient: str
    source: str
    sha256: str
    options: str
    jaw: int
    faces: int
    labelled: bool
    tessellations: int
    version: str
    labels: str = GIVEN
    found_by: str = ""
    guessed: str = ""

    @property
    def label_origin(self) -> LabelOrigin:
        """Where the labels come from."""
        return LabelOrigin(self.labels, self.found_by, guessed=self.guessed)


class StoredGraphs(Sequence[Data]):
    """The tessellations of a prepared scan; each is read from disk at access and not kept in memory."""

    def __init__(self, path: Path, header: Header, numbers: range | None = None) -> None:
        self.path, self.header = path, header
        self.numbers = range(header.tessellations) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, which: int) -> Data: ...

    @overload
    def __getitem__(self, which: slice) -> StoredGraphs: ...

    def __getitem__(self, which: int | slice) -> Data | StoredGraphs:
        if isinstance(which, slice):
            return StoredGraphs(self.path, self.header, self.numbers[which])
        return _read_graph(self.path, self.header, self.numbers[which])


def save_scan(path: Path, scan: Scan, header: Header) -> None:
    """Write the graphs of a scan to one file, atomically.

    Raises:
        DataError: if a needed field is missing, or a field is not a dense tensor of real numbers.
    """
    tensors, as_given = {}, []
    for number, graph in enumerate(scan.variants):
        for name in dict.fromkeys((*_NEEDED, *graph.keys())):
            value = graph.get(name)
            if name in _IN_HEADER or (name in _IN_X and _same(value, graph.x[:, _IN_X[name]])):
                continue
            _check_field(name, value, header.source)
            key = f"{number}.{name}"
            if name in _WHOLE or value.dtype == torch.int64:
                value = _smallest(value)
            elif _is_whole(value):
                as_given.append(key)
            tensors[key] = value.clone(memory_format=torch.contiguous_format)  # fields may share their memory
    content = {"format": FORMAT, **asdict(header), **({_AS_GIVEN: as_given} if as_given else {})}
    metadata = {"toothgraph": json.dumps(content)}  # one key, because the order of several keys varies
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=metadata))


def _check_field(name: str, value: Any, source: str) -> None:
    if not isinstance(value, Tensor):
        raise DataError(
            f"{source}: expected {name} of its graph as a tensor, got {type(value).__name__}; a prepared scan "
            "stores only tensors, and needs x, area and edge_index"
        )
    if value.layout != torch.strided or value.is_complex():
        kind = "complex" if value.is_complex() else "sparse"
        raise DataError(
            f"{source}: expected {name} of its graph as a dense tensor of real numbers, got a {kind} one; store its "
            f"{'real and imaginary parts' if value.is_complex() else 'indices and values, or .to_dense()'}"
        )


def load_scan(path: Path) -> Scan:
    """Open a prepared scan; its graphs are read at access.

    Raises:
        DataError: see :func:`read_header`.
    """
    return scan_of(path, read_header(path))


def scan_of(path: Path, header: Header) -> Scan:
    """A prepared scan from its header; the file is not read."""
    return Scan(header.scan_id, StoredGraphs(path, header), header.patient, header.label_origin, Path(header.source),
                f"{header.sha256[:16]} {header.options}")  # fmt: skip


def read_header(path: Path) -> Header:
    """Read the header of a prepared scan.

    Raises:
        DataError: if the file is not a prepared scan, or has another format version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        content = json.loads(metadata["toothgraph"])
        if content.pop("format") != FORMAT:
            raise ValueError("format")
        content.pop(_AS_GIVEN, None)
        header = Header(**content)
        wrong = [name for name, kind in Header.__annotations__.items() if type(getattr(header, name)).__name__ != kind]
        if wrong or header.tessellations < 1:
            raise ValueError(f"{wrong or 'tessellations'}")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a scan prepared by this version of toothgraph ({error}); prepare it again"
        ) from error
    return header


def _read_graph(path: Path, header: Header, number: int) -> Data:
    try:
        with safe_open(path, framework="pt") as file:
            first = f"{number}."
            found = {key[len(first) :]: file.get_tensor(key) for key in file.keys() if key.startswith(first)}  # noqa: SIM118
            as_given = json.loads(file.metadata()["toothgraph"]).get(_AS_GIVEN, ())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the prepared scan cannot be read ({error}); prepare it again") from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise DataError(f"{path}: expected {missing[0]} in the prepared scan, found none; prepare it again")
    x = found["x"]
    graph = Data(x=x, **{name: x[:, columns].clone() for name, columns in _IN_X.items()}, area=found["area"])
    for name, value in found.items():
        usual = _is_whole(value) and first + name not in as_given
        graph[name] = value.to(_WHOLE.get(name, torch.int64)) if usual else value
    graph.jaw = torch.tensor([header.jaw])
    graph.scan_id = header.scan_id
    return graph


def _is_whole(value: Tensor) -> bool:
    return not (value.is_floating_point() or value.dtype == torch.bool)


def _smallest(value: Tensor) -> Tensor:
    """Integers in the smallest type that fits; other values unchanged."""
    if not _is_whole(value):
        return value
    value = value.long()
    low, high = (int(value.min()), int(value.max())) if value.numel() else (0, 0)
    for kind in (torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32):
        info: Any = torch.iinfo(kind)
        if info.min <= low and high <= info.max:
            return value.to(kind)
    return value


def _same(value: Tensor, other: Tensor) -> bool:
    return value.dtype == other.dtype and torch.equal(value, other)
