"""Find scans among files and folders."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from toothgraph.errors import DataError, LabelError
from toothgraph.io.archive import is_archive, opened
from toothgraph.io.formats.content import is_of_3shape
from toothgraph.io.formats.registry import SUFFIXES, may_be_scan
from toothgraph.io.formats.tooth_folder import is_tooth_folder, number_of
from toothgraph.io.label_record import read_record, record_of, was_changed
from toothgraph.system.files import check_there

_log = logging.getLogger("toothgraph")


def find_scans(paths: list[str | Path] | list[Path] | list[str]) -> list[Path]:
    """The scans among files, folders and archives.

    Folders are searched recursively; hidden files are ignored. A link to a folder counts as that folder. It is ignored
    if the folder is searched anyway, or if the link lies inside that folder.

    An archive (:mod:`toothgraph.io.archive`) counts as a folder with its content; archives in a folder are ignored.

    A folder with one file per tooth (:mod:`toothgraph.io.formats.tooth_folder`) is one scan. If ``predict`` or
    ``convert`` wrote a scan in several formats, one file is taken: the first file whose content was changed since, or
    else the first.

    Returns:
        Each scan once; scans of one folder are sorted by name, and those behind links come last.

    Raises:
        DataError: if a path does not exist or is a list of scans (``.csv``), or if no scan is found.
        MeshError: if an archive cannot be unpacked.
    """
    found, search = dict[Path, None](), _Search()
    for path in map(opened, map(Path, paths)):
        if path.is_dir():
            found.update(dict.fromkeys(search.inside(path)))
        else:
            check_there(path)
            if path.suffix.lower() == ".csv":
                raise DataError(
                    f"{path}: only `toothgraph prepare` reads a list of scans; give the scans or their folder. For a "
                    "training, give the folder that `prepare` made from the list"
                )
            found[path] = None
    found.update(dict.fromkeys(search.behind_links()))
    if not found:
        names = ", ".join(map(str, paths)) or "an empty list"
        prepared = any((Path(path) / "manifest.csv").is_file() for path in paths)
        hint = "; a folder of `toothgraph prepare` is only for pretrain and finetune" if prepared else ""
        if packed := [file for path in paths for file in sorted(Path(path).rglob("*")) if is_archive(file)]:
            hint = f"; archives are read if they are named one by one, such as {packed[0]}"
        raise DataError(f"found no scans ({' '.join(SUFFIXES)}) in {names}{hint}")
    return _one_per_scan(list(found))


def _one_per_scan(scans: list[Path]) -> list[Path]:
    together: dict[Path, list[Path]] = {}
    for scan in scans:
        together.setdefault(record_of(scan), []).append(scan)
    left_out: set[Path] = set()
    for record, same in together.items():
        if len(same) > 1 and record.is_file():
            left_out.update(_twins(same))
    return [scan for scan in scans if scan not in left_out]


def _twins(scans: list[Path]) -> list[Path]:
    """The files that are left out of several files of one scan, which have the same record."""
    try:
        record = read_record(scans[0])
    except LabelError:  # reported when the scan is read
        return []
    ours = [scan for scan in scans if scan.name in record.files]
    ours.sort(key=lambda scan: (scan.is_dir(), (*SUFFIXES, scan.suffix).index(scan.suffix)))
    taken = next((scan for scan in ours if was_changed(scan, record)), *ours[:1])
    return [scan for scan in ours if scan != taken]


def _warn_of_3shape(folder: Path) -> None:
    """Warn of scans in 3Shape's own format, unless an export of the scan lies beside the file."""
    own = [file for file in sorted(folder.glob("*.[dD][cC][mM]")) if file.is_file() and is_of_3shape(file)]
    if lost := [file.name for file in own if not any(map(may_be_scan, folder.glob(f"{escape(file.stem)}.*")))]:
        _log.warning(
            "%s: these files are in 3Shape's own format and are not read; export them as STL or PLY: %s",
            folder,
            ", ".join(lost),
        )


@dataclass
class _Search:
    """A search of folders.

    Attributes:
        seen: the resolved paths of the folders that were searched.
        links: the links to folders that were found.
    """

    seen: set[Path] = field(default_factory=set)
    links: list[Path] = field(default_factory=list)

    def inside(self, folder: Path) -> Iterator[Path]:
        """The scans in a folder, without following links to folders: those are kept for :meth:`behind_links`."""
        self.seen.add(folder.resolve())
        if is_tooth_folder(folder):
            _warn_of_others(folder)
            yield folder
            return
        _warn_of_3shape(folder)
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir() and entry.is_symlink():
                self.links.append(entry)
            elif entry.is_dir():
                if entry.resolve() not in self.seen:
                    yield from self.inside(entry)
            elif may_be_scan(entry):
                yield entry

    def behind_links(self) -> Iterator[Path]:
        """The scans in folders to which only links lead; links inside such folders are followed, too."""
        for link in self.links:  # the list grows during this loop
            place = link.resolve()
            if place not in self.seen and place not in link.parent.resolve().parents:
                yield from self.inside(link)


def _warn_of_others(folder: Path) -> None:
    """Warn of scans in a folder with one file per tooth that are not one of its parts."""
    others = [file.name for file in sorted(folder.iterdir()) if may_be_scan(file) and number_of(file) is None]
    if others:
        _log.warning(
            "%s: is read as one scan, since it has a gingiva file and files named as teeth; not read: %s",
            folder, ", ".join(others),
        )  # fmt: skip
