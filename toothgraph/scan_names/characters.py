"""Characters, length and words of names: printable text, a single form of accents, splitting into words."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from itertools import groupby
from pathlib import Path

from toothgraph.errors import MeshError

# Surrogates, which stand in a path for bytes that are not UTF-8, and control characters, which would break tables.
_NO_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")
LONGEST = 243  # bytes of a name; with the suffix of an output file at most 255, the limit of file systems
_NEW_WORD = re.compile("(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])")  # in camel case


def printable(text: str) -> str:
    """Text that can be printed, written to a file and used in a link.

    Bytes that are not UTF-8, as in file names from old archives, become codes like ``%FC``. So do control characters
    except tab and new line: ``%0D``.
    """
    return _NO_TEXT.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def check_file_name(path: Path) -> None:
    """Refuse a file whose name cannot be used for output files and links.

    Raises:
        MeshError: if the name is not UTF-8, has control characters, or is too long before its suffix.
    """
    if found := _NO_TEXT.search(path.name):
        what = "control characters" if found[0].isascii() else "other bytes"
        raise MeshError(f"{printable(str(path))}: expected a file name in UTF-8, found {what}; rename the file")
    if (size := len(os.fsencode(stem_of(path)))) > LONGEST:
        raise MeshError(f"{path}: expected a name of at most {LONGEST} bytes before its suffix, got {size}; rename it")


def short_enough(name: str) -> str:
    """The name, cut if it is too long for a file. A cut name ends in a digest of the whole name."""
    if len(name.encode()) <= LONGEST:
        return name
    begin = name.encode()[: LONGEST // 2].decode(errors="ignore")
    return f"{begin}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def composed(name: str) -> str:
    """The name in Unicode form NFC: each letter and its accent are one character.

    Names come in several forms that look the same.
    """
    return unicodedata.normalize("NFC", name)


def stem_of(path: Path) -> str:
    """The name of a scan without its suffix.

    From the name of a folder with one file per tooth, only ``.teeth`` is removed, as the name may have full stops.
    """
    return path.name.removesuffix(".teeth") if os.path.isdir(path) else path.stem  # os.path.isdir never raises


def split_words(name: str) -> list[str]:
    """The words and numbers of a name, in lower case; a camel-case word like ``UpperJaw`` is split."""
    runs = ["".join(run) for kind, run in groupby(composed(name), kind_of) if kind]
    return [word.lower() for run in runs for word in _NEW_WORD.split(run)]


def kind_of(character: str) -> str:
    """``L`` for a letter or an accent, ``N`` for a digit, empty for any other character."""
    kind = unicodedata.category(character)[0]
    return "L" if kind == "M" else kind if kind in "LN" else ""
