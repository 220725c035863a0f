"""Unlabelled scans to learn from: find them, and leave out those that are labelled already or that validate."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toothgraph.data.prepared.folder import read_options, read_sources
from toothgraph.data.prepared.layout import FOUND_BY_TEACHER, is_prepared
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.split import Split
from toothgraph.errors import DataError
from toothgraph.scan_names import may_be_of
from toothgraph.training.sides import Sides


@dataclass(frozen=True)
class Unlabelled:
    """A scan to be labelled: its source, and the unit of length in its file."""

    source: Source
    unit: str = "mm"


def find_unlabelled(paths: Sequence[Path], unit: str = "mm") -> list[Unlabelled]:
    """The scans in files, folders and lists; for a prepared folder, the files that it was made from.

    The graphs in a prepared folder are too coarse, because prediction also looks at each tooth closely.

    Raises:
        DataError: if a path does not exist, two different scans have the same name, the files that a folder was made
            from are gone, or a teacher found the labels of a prepared folder.
    """
    raw = [path for path in paths if not is_prepared(path)]
    found = [Unlabelled(source, unit) for source in (find_sources(raw) if raw else [])]
    for path in filter(is_prepared, paths):
        found += _behind(path)
    by_name: dict[str, Unlabelled] = {}
    for one in found:
        known = by_name.setdefault(one.source.scan_id, one)
        if not _same_file(known.source.path, one.source.path):
            raise DataError(
                f"{one.source.path}: has the same name as {known.source.path} ({one.source.scan_id}), and is another "
                "scan; rename one"
            )
    return list(by_name.values())


def _behind(folder: Path) -> list[Unlabelled]:
    """The scans that a prepared folder was made from."""
    options, sources = read_options(folder), read_sources(folder)
    if FOUND_BY_TEACHER.items() <= options.items():
        raise DataError(
            f"{folder}: expected scans to label, found labels of an earlier self-training; give the scan files"
        )
    if sources and not any(source.path.exists() for source in sources):
        raise DataError(
            f"{folder}: was made from {sources[0].path} and others, which do not exist; give the scan files, or "
            "go to the folder where `toothgraph prepare` was run (an archive has to be unpacked)"
        )
    return [Unlabelled(source, str(options["unit"])) for source in sources]


def left_over(unlabelled: Sequence[Unlabelled], sides: Sides, split: Split) -> list[Unlabelled]:
    """The unlabelled scans whose labels are not used already and whose patients neither validate nor test.

    A scan is recognised by its name or by the content of its file. A patient is recognised by any name that the file
    may stand for, since names depend on which other files were given: ``ben/upper.stl`` is of ``ben`` or of nobody.
    """
    names = {scan.scan_id for scan in (*sides.train, *sides.val)}
    labelled = _Files(scan.source for scan in (*sides.train, *sides.val))
    validating = _Files(scan.source for scan in sides.val)
    away = {*split.val, *split.test}
    away |= {one.source.patient for one in unlabelled if one.source.path in validating}

    def used(source: Source) -> bool:
        whose = {source.patient, *may_be_of(source.path)}
        return source.scan_id in names or bool(whose & away) or source.path in labelled

    return [one for one in unlabelled if not used(one.source)]


class _Files:
    """A set of files in which a file is found by its content. Only files of the same size are read."""

    def __init__(self, paths: Iterable[Path | None]) -> None:
        self.by_size: dict[int, list[Path]] = defaultdict(list)
        for path in paths:
            if path is not None and path.is_file():
                self.by_size[path.stat().st_size].append(path)

    def __contains__(self, path: Path) -> bool:
        return path.is_file() and any(_same_file(path, other) for other in self.by_size[path.stat().st_size])


def _same_file(one: Path, other: Path) -> bool:
    """Whether two paths are the same, or lead to files with the same content."""
    if one == other or one.resolve() == other.resolve():
        return True
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
