"""Archives as people send them, read like folders: a ``.zip`` of one scan or a case, a ``.gz`` of one scan."""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import IO

from toothgraph.errors import MeshError
from toothgraph.io.formats import gltf
from toothgraph.io.formats.registry import SUFFIXES, may_be_scan
from toothgraph.io.formats.tooth_folder import is_tooth_folder
from toothgraph.scan_names import UNPACKED, beside_scan
from toothgraph.stages import stage

ARCHIVES = (".zip", ".gz")
_FILES = 10_000  # in one archive
_NESTED = (".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar")
_LABELS = (".txt", ".json")
_WANTED = (*SUFFIXES, *_LABELS, ".bin")  # scans, their labels, and the data files of a .gltf
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # a drive of Windows; on macOS, names of folders may have colons, as in dates
_CHUNK = 1 << 20
_folders: list[tempfile.TemporaryDirectory[str]] = []  # of unpacked archives; deleted when the process ends


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name."""
    return path.suffix.lower() in ARCHIVES and path.is_file()


def opened(path: Path) -> Path:
    """The path itself; for an archive, the one scan in it, or the folder into which several scans were unpacked.

    Only scans and files that belong to them are unpacked. They are deleted when the process ends.

    Raises:
        MeshError: if an archive is damaged or protected, has no scans, unpacks to more than ``gltf.UNPACKED`` bytes, or
            contains another archive, a link, or a file whose place is outside the archive.
    """
    if not is_archive(path):
        return path
    stage("unpacking")
    about = path.stat()
    folder = _unpacked(path.absolute(), about.st_mtime_ns, about.st_size)
    scans = [file for file in sorted(folder.rglob("*")) if may_be_scan(file)]
    if not scans:
        hint = f"; is it {path.stem}.stl.gz?" if path.suffix.lower() == ".gz" and not Path(path.stem).suffix else ""
        raise MeshError(f"{path}: has no scans in it ({' '.join(SUFFIXES)}){hint}")
    return scans[0] if len(scans) == 1 else folder


def one_scan(path: Path) -> Path:
    """The one scan that a path means: the path itself, or the scan in an archive.

    Raises:
        MeshError: if an archive has several scans, or as :func:`opened` does.
    """
    scan = opened(path)
    if not scan.is_dir() or scan == path or is_tooth_folder(scan):
        return scan
    scans = [file for file in scan.rglob("*") if may_be_scan(file)]
    folders = [folder for folder in {file.parent for file in scans} if is_tooth_folder(folder)]
    if len(folders) != 1 or not all(folders[0] in file.parents for file in scans):
        raise MeshError(f"{path}: expected one scan, found several in this archive; unpack it, and give one of them")
    return folders[0]


@cache
def _unpacked(path: Path, changed: int, size: int) -> Path:
    """The temporary folder with the content of an archive, and with the labels beside a ``.gz``.

    An archive is unpacked once, and again only if its time of change or its size is another.
    """
    temporary = tempfile.TemporaryDirectory(prefix=UNPACKED)
    folder = Path(temporary.name) / path.stem  # this name tells apart scans of the same name in several archives
    try:
        folder.mkdir()
        _unpack(path, folder)
        for file in _labels_of(path):
            shutil.copy(file, folder)
    except MeshError:
        temporary.cleanup()
        raise
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        temporary.cleanup()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        twice = isinstance(error, FileExistsError)  # names differ in case alone on some systems
        cause = "two files in it have the same name" if twice else str(error) or type(error).__name__
        raise MeshError(f"{path}: cannot be unpacked ({cause}); unpack it by hand, or have it sent again") from error
    _folders.append(temporary)
    return folder


def _labels_of(path: Path) -> list[Path]:
    """The label files beside a ``.gz``, which belong to the scan in it; a ``.zip`` has its own labels in it."""
    if path.suffix.lower() != ".gz":
        return []
    scan = path.with_suffix("")
    return [file for suffix in _LABELS if (file := beside_scan(scan, suffix)).is_file()]


def _unpack(path: Path, folder: Path) -> None:
    """Write the wanted files of an archive. Unpacked bytes are counted, since an archive may state a wrong size."""
    left = gltf.UNPACKED
    for name, source in _members(path):
        place = _place(path, name)
        if place is None:
            continue
        target = folder / (str(place).replace(":", "_") if os.name == "nt" else place)
        target.parent.mkdir(parents=True, exist_ok=True)
        with source() as packed, target.open("xb") as file:
            while chunk := packed.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise MeshError(
                        f"{path}: unpacks to more than the limit of {gltf.UNPACKED / 1e9:g} GB; unpack it by hand"
                    )
                file.write(chunk)


def _members(path: Path) -> Iterator[tuple[str, Callable[[], IO[bytes] | gzip.GzipFile]]]:
    """The name of each file in an archive, and a function that opens it."""
    if path.suffix.lower() == ".gz":
        yield path.stem, partial(gzip.GzipFile, path)
        return
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > _FILES:
            raise MeshError(f"{path}: has {len(archive.infolist())} files in it, too many for scans; unpack it by hand")
        for member in archive.infolist():
            if stat.S_ISLNK(member.external_attr >> 16):
                raise MeshError(f"{path}: expected files, found a link, {member.filename!r}; unpack it by hand")
            if member.filename and not member.is_dir():
                yield member.filename, partial(archive.open, member)


def _place(path: Path, name: str) -> PurePosixPath | None:
    """The place of a file in the folder; None for a file that is not wanted or that macOS has added."""
    place = PurePosixPath(name.replace("\\", "/"))  # some Windows programs write backslashes
    if place.is_absolute() or ".." in place.parts or _DRIVE.match(name):
        raise MeshError(
            f"{path}: expected files inside the archive's own folder, found {name!r}, which would be written "
            "elsewhere; do not unpack an archive that you do not trust"
        )
    if place.suffix.lower() in _NESTED:
        raise MeshError(f"{path}: has another archive in it, {name!r}; unpack it by hand, and give what is in it")
    if any(part.startswith((".", "__MACOSX")) for part in place.parts) or place.suffix.lower() not in _WANTED:
        return None
    return place
