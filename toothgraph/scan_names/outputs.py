"""Names of the outputs of scans: stems, with the names of folders in front where stems are not unique."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from toothgraph.errors import ConfigError, DataError, repeated, some_of
from toothgraph.scan_names.characters import composed, printable, short_enough, stem_of
from toothgraph.scan_names.words import patient_of

UNPACKED = "toothgraph-unpacked-"  # names of the temporary folders of unpacked archives begin so


def scan_names(files: Sequence[Path]) -> list[str]:
    """A unique name for each file: its stem, with folder names in front if stems are not unique.

    See :func:`long_names`.

    Raises:
        DataError: if two files still share a name.
    """
    names = long_names(files)
    if twice := repeated(names):
        same = [str(path) for path, name in zip(files, names, strict=True) if name == twice[0]]
        raise DataError(f"several scans share the name {twice[0]}: {some_of(same, 3)}; rename them")
    return names


def output_names(files: list[Path]) -> list[str]:
    """A name for each output: the stem of its input.

    If files in several folders have the same name, the names of their folders are put in front: as many as are needed
    to tell the files apart, and the same number for both jaws of a patient. If only the stems are the same, the suffix
    is added. A name that is too long for a file is cut.

    Raises:
        ConfigError: if two inputs still share a name.
    """
    names = _apart(files, [file.suffix for file in files])
    count = Counter(names)
    names = [name if count[name] == 1 else f"{name}{file.suffix}" for name, file in zip(names, files, strict=True)]
    names = list(map(short_enough, names))
    if twice := repeated(names):
        same = ", ".join(str(file) for file, name in zip(files, names, strict=True) if name == twice[0])
        raise ConfigError(f"several scans would be written as {twice[0]}: {same}; label them into separate folders")
    return names


def may_be_named(file: Path) -> set[str]:
    """All names that the outputs of a scan may have. Which of them it gets depends on the other scans.

    Example:
        >>> {"upper", "anna_upper", "anna_upper.stl"} <= may_be_named(Path("anna/upper.stl"))
        True
    """
    folders, stem = folders_of(file), printable(stem_of(file))
    names = [joined(folders, stem, length) for length in range(len(folders) + 1)]
    return {*names, *(f"{name}{file.suffix}" for name in names)}


def long_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, with the names of its folders in front if the stem is not unique.

    As many folders are put in front as are needed to tell the files apart. All scans of a patient get the same number
    of them, so that both jaws keep the same patient. A folder that contains all files is left out, unless the file lies
    directly in it.

    Two files in one folder with the same stem keep the same name.

    Example:
        >>> long_names([Path("anna/lower/scan.stl"), Path("ben/lower/scan.stl"), Path("mia_lower.stl")])
        ['anna_lower_scan', 'ben_lower_scan', 'mia_lower']
    """
    return _apart(files, [""] * len(files))


def _apart(files: Sequence[Path], ends: Sequence[str]) -> list[str]:
    """The stem of each file, with folder names in front until no pair of name and end occurs twice.

    Names from different folders also count as the same if they differ only in case or in the form of accents: macOS and
    Windows make one file of them.
    """
    stems, folders, lengths = [printable(stem_of(file)) for file in files], _folders_below(files), [0] * len(files)
    for length in range(1, max(map(len, folders), default=0) + 1):
        names = list(map(joined, folders, stems, lengths))
        same = Counter(zip(names, ends, strict=True))
        alike = [(composed(name).casefold(), end) for name, end in zip(names, ends, strict=True)]
        places = Counter(place for place, _ in {*zip(alike, map(tuple, folders), strict=True)})
        unclear = {
            patient_of(name)
            for name, end, place in zip(names, ends, alike, strict=True)
            if same[name, end] > 1 or places[place] > 1
        }
        lengths = [length if patient_of(name) in unclear else own for name, own in zip(names, lengths, strict=True)]
    return list(map(joined, folders, stems, lengths))


def _folders_below(files: Sequence[Path]) -> list[list[str]]:
    """The names of the folders of each file below the folder that contains all files.

    For a file directly in that folder, it is the name of that folder.
    """
    folders = list(map(folders_of, files))
    shared = sum(1 for _ in takewhile(lambda names: len(names) == 1, map(set, zip(*folders, strict=False))))
    return [own[shared:] or own[-1:] for own in folders]


def joined(folders: Sequence[str], stem: str, length: int) -> str:
    """A stem with the names of its last ``length`` folders in front."""
    return "_".join([*folders[max(len(folders) - length, 0) :], stem])


def folders_of(file: Path) -> list[str]:
    """The names of all folders of a file.

    For a file in an archive, they begin with the folder of the archive, since each process unpacks it at another place.
    """
    folder = Path(lasting(Path(os.path.abspath(file)))).parent
    return [printable(part) for part in folder.parts if part != folder.anchor]


def beside_scan(path: Path, suffix: str) -> Path:
    """The file beside a scan with its stem and a suffix, ``.txt`` or ``.TXT``; it need not exist."""
    lower, upper = path.with_suffix(suffix), path.with_suffix(suffix.upper())
    return upper if upper.is_file() and not lower.is_file() else lower


def lasting(file: Path) -> str:
    """A name of a file that is the same in every process: its path, or for a file in an archive, the path in it."""
    parts = file.parts
    begin = next((number for number, part in enumerate(parts, 1) if part.startswith(UNPACKED)), None)
    return str(file) if begin is None else "/".join(parts[begin:])


def without_unpacked(text: str) -> str:
    """A text with files in archives named as :func:`lasting` names them."""
    return re.sub(rf"{re.escape(tempfile.gettempdir() + os.sep + UNPACKED)}[^/\\]+[/\\]", "", text)
