"""Characters and length of names: text that can be written, one form of accents, words."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from itertools import groupby
from pathlib import Path

from toothgraph.errors import MeshError

# What stands in a path for bytes that are not UTF-8; and control characters, which tables take for others.
_NO_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")
LONGEST = 243  # bytes of a name: with the suffix of a file that is written under it, 255, as file systems have it
_NEW_WORD = re.compile("(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])")  # in camel case


def printable(text: str) -> str:
    """Text that can be printed, written and linked to: bytes of a file name that are not UTF-8, as names
    out of old archives have them, become ``%FC``, and control characters but for tab and new line ``%0D``."""
    return _NO_TEXT.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def check_file_name(path: Path) -> None:
    """Refuse a file whose name is not UTF-8, has control characters, or leaves no room for other suffixes: what is
    written of it, and pages that link to it, could not be named.

    Raises:
        MeshError: then.
    """
    if found := _NO_TEXT.search(path.name):
        what = "control characters" if found[0].isascii() else "other bytes"
        raise MeshError(f"{printable(str(path))}: expected a file name in UTF-8, found {what}; rename the file")
    if (size := len(os.fsencode(stem_of(path)))) > LONGEST:
        raise MeshError(f"{path}: expected a name of at most {LONGEST} bytes before its suffix, got {size}; rename it")


def short_enough(name: str) -> str:
    """The name; of one that no file may have, its beginning and a digest of the whole."""
    if len(name.encode()) <= LONGEST:
        return name
    begin = name.encode()[: LONGEST // 2].decode(errors="ignore")
    return f"{begin}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def composed(name: str) -> str:
    """A name with each letter and its accent as one character: names have either form, and both look the same."""
    return unicodedata.normalize("NFC", name)


def stem_of(path: Path) -> str:
    """The name of a scan's file without the suffix; of a folder with one file per tooth, its name, which may have full
    stops, without ``.teeth``."""
    return path.name.removesuffix(".teeth") if os.path.isdir(path) else path.stem  # which raises nothing


def split_words(name: str) -> list[str]:
    """The words and numbers of a name."""
    runs = ["".join(run) for kind, run in groupby(composed(name), kind_of) if kind]
    return [word.lower() for run in runs for word in _NEW_WORD.split(run)]


def kind_of(character: str) -> str:
    """``L`` for a letter or a sign on one, ``N`` for a digit, nothing for what stands between words."""
    kind = unicodedata.category(character)[0]
    return "L" if kind == "M" else kind if kind in "LN" else ""
