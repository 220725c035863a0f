"""Prepared scans: graphs ready to train on, one file per scan, of which a draw reads one tessellation.

A file is safetensors: tensors named ``<tessellation>.<field>`` and a JSON header. Indices are stored in the smallest
type that holds them; positions and normals are columns of ``x`` and are not stored twice.
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

from toothgraph.data.scans import Scan
from toothgraph.errors import DataError
from toothgraph.files import atomic_path

FORMAT = "toothgraph-scan-2"  # counted up when what is stored changes, or how a scan becomes graphs
SUFFIX = ".safetensors"
_NEEDED = ("x", "area", "edge_index")
_STORED = (*_NEEDED, "neighbor_index", "level", "y")
_LONG = ("edge_index", "level", "y")  # int64 in a graph; the neighbour table is int32


@dataclass(frozen=True)
class Header:
    """What a prepared scan says of itself.

    Attributes:
        scan_id, patient: its names.
        source: the file it was made from, as it was given.
        sha256: of that file and of its labels.
        options: digest of the options it was made with.
        jaw: 0 upper, 1 lower, -1 unknown.
        faces: of the source's surface.
        labelled: whether any face has a known class.
        tessellations: how many graphs.
        version: of toothgraph.
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


class StoredGraphs(Sequence[Data]):
    """The tessellations of a prepared scan, each read from disk when it is asked for; nothing stays in memory."""

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
    """Write a scan's graphs to one file, whole or not at all."""
    tensors = {}
    for number, graph in enumerate(scan.variants):
        for name in _STORED:
            if name in graph:
                value = graph[name]
                tensors[f"{number}.{name}"] = value if value.is_floating_point() else _smallest(value)
    metadata = {"toothgraph": json.dumps({"format": FORMAT, **asdict(header)})}  # one key: of two, the order varies
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=metadata))


def load_scan(path: Path) -> Scan:
    """A prepared scan whose graphs are read when they are asked for.

    Raises:
        DataError: if the file is none.
    """
    header = read_header(path)
    return Scan(header.scan_id, StoredGraphs(path, header), header.patient)


def read_header(path: Path) -> Header:
    """What a prepared scan says of itself.

    Raises:
        DataError: if the file is none, or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        content = json.loads(metadata["toothgraph"])
        if content.pop("format") != FORMAT:
            raise ValueError("format")
        header = Header(**content)
        wrong = [name for name, kind in Header.__annotations__.items() if type(content[name]).__name__ != kind]
        if wrong or header.tessellations < 1:
            raise ValueError(f"{wrong or 'tessellations'}")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a scan prepared by this version of toothgraph ({error})") from error
    return header


def _read_graph(path: Path, header: Header, number: int) -> Data:
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            found = {name: file.get_tensor(key) for name in _STORED if (key := f"{number}.{name}") in names}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: a prepared scan that cannot be read ({error}); prepare it again") from error
    if missing := [name for name in _NEEDED if name not in found]:
        raise DataError(f"{path}: a prepared scan without {missing[0]}; prepare it again")
    x = found["x"]
    graph = Data(x=x, pos=x[:, :3].clone(), normal=x[:, 12:].clone(), area=found["area"])
    for name in ("edge_index", "neighbor_index", "level", "y"):
        if name in found:
            graph[name] = found[name].to(torch.int64 if name in _LONG else torch.int32)
    graph.jaw = torch.tensor([header.jaw])
    graph.scan_id = header.scan_id
    return graph


def _smallest(value: Tensor) -> Tensor:
    """Whole numbers in the smallest type that holds them."""
    low, high = (int(value.min()), int(value.max())) if value.numel() else (0, 0)
    for kind in (torch.int8, torch.uint8, torch.int16, torch.uint16):
        info: Any = torch.iinfo(kind)
        if info.min <= low and high <= info.max:
            return value.to(kind)
    return value.to(torch.int32)
