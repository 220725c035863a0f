"""The record beside labels that toothgraph wrote, ``<stem>.found.json``.

It tells which files are one scan, whether a model found the labels in them, and whether the labels were changed since.

For each label file of the scan, the record has the name of the model that found the labels, and a digest of the faces
(or vertices) of each number. Renumbered teeth keep their faces, so the record also tells which number a tooth had
before. A file may have its numbers on faces, on vertices and as colours; then the record shows a change of any of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.errors import ConfigError, LabelError
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UPPER, is_primary
from toothgraph.io.formats.tooth_folder import number_of
from toothgraph.mesh.label_origin import CORRECTED, FOUND, GIVEN, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import stored_digest
from toothgraph.scan_names import lasting, printable
from toothgraph.system.files import write_text

SUFFIX = ".found.json"
_SHOWN = 6  # changes that a message lists; of the others it gives the count
Digests = dict[int, str]  # by number
Colours = Mapping[int, str]  # by number
_ALWAYS = ("model", "content", "numbers")
_COLOURED = (".ply",)  # formats with colours; the other formats have only numbers


@dataclass(frozen=True)
class FoundFile:
    """What the record says of one file.

    Attributes:
        model: the model that found the labels; empty if no model did, or if it is not known.
        content: digest of the whole file; empty while the file is being written, and if writing was interrupted.
        numbers: for each number a digest of its faces; for a JSON, of its vertices.
        of_vertices: for each number a digest of its vertices, if the file has numbers on faces and on vertices.
        colours: for each number its colour as ``rrggbb``, hexadecimal, if the file is coloured by its numbers.
        kind: ``found`` by a model, or ``given``.
    """

    model: str
    content: str
    numbers: Digests
    of_vertices: Digests = field(default_factory=dict)
    colours: Colours = field(default_factory=dict)
    kind: str = FOUND


@dataclass(frozen=True)
class Record:
    """The record of a scan.

    Attributes:
        files: what it says of each file, by file name.
        renumbered: the numbers that were changed since, former to present, in the order of the corrections.
        run: the entry of the run that wrote all files of the scan; empty until all of them are written.
        jaws: for a file with both jaws, which of its faces are ``upper`` and which ``lower``, as runs of faces: pairs
            of the first face and the face after the last, counted from 0; else empty.
        scan: the file of the scan, see :func:`place_of`; empty if it is not known.
        surface: digest of the surface of the scan, see :func:`toothgraph.mesh.original.stored_digest`; empty if it is
            not known.
    """

    files: Mapping[str, FoundFile] = field(default_factory=dict)
    renumbered: Sequence[Mapping[int, int]] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    jaws: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    scan: str = ""
    surface: str = ""

    def of(self, mesh: Mesh) -> Record:
        """A copy of the record with the file and the surface of this scan."""
        return replace(self, scan=place_of(mesh.path) if mesh.path else "", surface=stored_digest(mesh))

    def is_of_other(self, file: Path, read: Callable[[], Mesh]) -> bool:
        """Whether the record is known to be of another scan.

        It is, if its scan lies at another place than ``file`` and has another surface. A new surface in the same file
        counts as the same scan.

        Args:
            file: the file of the scan.
            read: reads the scan from ``file``; it is called only if the place does not decide.
        """
        if not self.surface or (self.scan and self.scan == place_of(file)):
            return False
        return self.surface != stored_digest(read())


def place_of(file: Path) -> str:
    """The absolute path of a scan; empty for a scan in an archive, as several archives may have the same paths."""
    return printable(os.path.abspath(file)) if lasting(file) == str(file) else ""


def record_of(path: Path) -> Path:
    """The path of the record that belongs to a label file or scan."""
    return path.with_suffix(SUFFIX)


def check_name(name: str) -> None:
    """Refuse the name of a scan if its labels would overwrite the record of another scan.

    Raises:
        ConfigError: for a name like ``anna.found``: its labels would overwrite the record of ``anna``.
    """
    own = SUFFIX.removesuffix(".json")
    if name.lower().endswith(own):
        raise ConfigError(f"{name}: {name}.json is the record of {name[: -len(own)]}; give the scan another name")


def read_record(path: Path) -> Record:
    """The record beside a label file or scan; an empty record if there is none.

    Raises:
        LabelError: if the record cannot be read.
    """
    file = record_of(path)
    if not file.is_file():
        return Record()
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        files = {
            name: FoundFile(
                str(found["model"]), str(found["content"]), _numbers(found["numbers"]),
                _numbers(found.get("of_vertices", {})),
                _colours(found.get("colours", {})),
                GIVEN if found.get("kind") == GIVEN else FOUND,
            )
            for name, found in content["files"].items()
        }  # fmt: skip
        if strange := [name for name in files if record_of(path.parent / name) != file]:
            raise ValueError(f"{strange[0]} is no file of this scan")
        renumbered = [{int(before): int(now) for before, now in each.items()} for each in content["renumbered"]]
        run = dict(content.get("run", {}))
        jaws = {str(jaw): [(int(first), int(end)) for first, end in runs]
                for jaw, runs in content.get("jaws", {}).items()}  # fmt: skip
        scan, surface = (str(content.get(key, "")) for key in ("scan", "surface"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelError(
            f"{file}: expected the record of labels that toothgraph wrote, cannot read it ({error!r}); if you remove "
            "this file, the labels count as given, not as found by a model"
        ) from error
    return Record(files, renumbered, run, jaws, scan, surface)


def is_recorded(path: Path) -> bool:
    """Whether the record beside a scan says that toothgraph wrote this file; False if the record cannot be read."""
    try:
        return path.name in read_record(path).files
    except LabelError:
        return False


def write_record(path: Path, record: Record) -> None:
    """Write the record beside a label file."""
    content: dict[str, Any] = {
        "files": {
            name: {key: value for key, value in asdict(found).items() if key in _ALWAYS or value not in ({}, FOUND)}
            for name, found in record.files.items()
        },
        "renumbered": list(record.renumbered),
        **({"run": dict(record.run)} if record.run else {}),
        **({"jaws": {jaw: list(runs) for jaw, runs in record.jaws.items()}} if record.jaws else {}),
        **({"scan": record.scan} if record.scan else {}),
        **({"surface": record.surface} if record.surface else {}),
    }
    write_text(record_of(path), json.dumps(content, indent=1) + "\n")


def jaw_runs(jaw_of_face: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """The attribute ``jaws`` of a :class:`Record`, from the jaw of each face [F0] of the file, 0 upper, 1 lower."""
    starts = np.flatnonzero(np.diff(jaw_of_face, prepend=-1))
    ends = np.append(starts[1:], len(jaw_of_face))
    runs: dict[str, list[tuple[int, int]]] = {JAW_NAMES[jaw]: [] for jaw in (UPPER, LOWER)}
    for first, end in zip(starts.tolist(), ends.tolist(), strict=True):
        runs[JAW_NAMES[int(jaw_of_face[first])]].append((first, end))
    return runs


def recorded(path: Path, origin: LabelOrigin, labels: np.ndarray, of_vertices: np.ndarray | None = None) -> FoundFile:
    """The entry of the record for a file that was just written.

    Args:
        path: the file.
        origin: the origin of its labels, ``found`` or ``given``.
        labels: [n] the numbers in the file.
        of_vertices: [V] the numbers on its vertices, if ``labels`` are the numbers on its faces.
    """
    vertices = {} if of_vertices is None else number_digests(path, of_vertices)
    numbers, colours = number_digests(path, labels), colours_in(path)
    return FoundFile(origin.model, content_digest(path), numbers, vertices, colours, origin.kind)


def colours_in(path: Path) -> Colours:
    """The colour that this version writes for each number; empty if files of this format have no colours."""
    return {fdi: bytes(rgb).hex() for fdi, rgb in COLOUR_OF_FDI.items() if fdi >= 0} if path.suffix in _COLOURED else {}


def origin_of(path: Path, record: Record, labels: np.ndarray, *, per_vertex: bool = False) -> LabelOrigin:
    """The origin of the labels [n] of a file, and the numbers that were changed since they were written."""
    found = record.files.get(path.name)
    if found is None:
        return LabelOrigin()
    if not found.content:
        return LabelOrigin(found.kind, found.model)
    before, now = _digests(path, found, labels, per_vertex)
    changed = frozenset(number for number in {*before, *now} if before.get(number) != now.get(number))
    corrected = found.kind == FOUND and bool(_changes(before, now))
    return LabelOrigin(CORRECTED if corrected else found.kind, found.model, changed)


def changes_in(path: Path, record: Record, labels: np.ndarray, *, per_vertex: bool = False) -> list[str]:
    """The changes in the labels [n] of a file since they were written, in words.

    Examples are ``35 was 36``, ``14 has another outline`` and ``18 is gone``.
    """
    found = record.files.get(path.name)
    if found is None or not found.content:
        return []
    return _changes(*_digests(path, found, labels, per_vertex))


def _digests(path: Path, found: FoundFile, labels: np.ndarray, per_vertex: bool) -> tuple[Digests, Digests]:
    """The digests of each number: those in the record, and those of the present file."""
    before = found.of_vertices if per_vertex and found.of_vertices else found.numbers
    return before, before if path.is_dir() and _same_content(path, found) else number_digests(path, labels)


def was_changed(path: Path, record: Record) -> bool:
    """Whether the content of a file in the record has changed since it was written."""
    found = record.files.get(path.name)
    return found is not None and bool(found.content) and path.exists() and not _same_content(path, found)


def _same_content(path: Path, found: FoundFile) -> bool:
    """Whether a file is still as it was written.

    Up to version 0.2, the digest of a folder left out the files of milk teeth: such a digest counts, too.
    """
    if content_digest(path) == found.content:
        return True
    former = path.is_dir() and not is_primary(np.array([*found.numbers])).any()
    return former and content_digest(path, milk_teeth=False) == found.content


def content_digest(path: Path, *, milk_teeth: bool = True) -> str:
    """SHA-256 of a file; for a folder with one file per tooth, of the names and contents of its parts."""
    total = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        number = None if file is path else number_of(file)
        if file is path or (number is not None and (milk_teeth or not is_primary(np.array(number)))):
            total.update(file.name.encode() * (file is not path))
            total.update(file.read_bytes())
    return total.hexdigest()


def number_digests(path: Path, labels: np.ndarray) -> Digests:
    """A digest for each number: of the indices in ``labels`` [n] that have this number.

    The faces of a folder with one file per tooth have no common order: there, it is a digest of each file.
    """
    if path.is_dir():
        parts = {number: file for file in path.iterdir() if (number := number_of(file)) is not None}
        return {number: _digest(file.read_bytes()) for number, file in sorted(parts.items())}
    labels = np.asarray(labels)
    return {
        int(number): _digest(np.flatnonzero(labels == number).astype("<i8").tobytes()) for number in np.unique(labels)
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _numbers(content: dict[str, Any]) -> Digests:
    return {int(number): str(digest) for number, digest in content.items()}


def _colours(content: dict[str, Any]) -> Colours:
    if wrong := [rgb for rgb in content.values() if len(bytes.fromhex(rgb)) != 3]:
        raise ValueError(f"{wrong[0]} is no colour rrggbb")
    return {int(number): rgb for number, rgb in content.items()}


def _changes(before: Digests, now: Digests) -> list[str]:
    former = {digest: number for number, digest in before.items()}
    said, kept = [], set()
    for number, digest in now.items():
        if before.get(number) == digest:
            kept.add(number)
        elif number > 0 and digest in former:
            kept.add(former[digest])
            said.append(f"{number} was {_name(former[digest])}")
        elif number > 0:
            said.append(f"{number} has another outline" if number in before else f"{number} is new")
    said += [f"{number} is gone" for number in before if number > 0 and number not in now and number not in kept]
    if not said and before != now:
        said = ["other gingiva"]
    return said if len(said) <= _SHOWN else [*said[:_SHOWN], f"{len(said) - _SHOWN} more"]


def _name(number: int) -> str:
    return {0: "gingiva", UNKNOWN: "unknown"}.get(number, str(number))
