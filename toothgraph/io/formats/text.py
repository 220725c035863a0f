"""Text of scan files as many programs write it: with any encoding, line end, indentation and decimal sign.

A text is kept as bytes. Since a scan has a million lines, numpy finds the lines and their first words. Names and
comments are never decoded.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_BLANK = bytes.maketrans(b"\t\v\f\x1a", b"    ")  # 0x1A ends a text file in DOS
_DECIMAL = re.compile(rb"(?<!\S)([^\s,.]*),([^\s,.]*)(?!\S)")
_NOT_A_NUMBER = re.compile(rb"-?(?:1\.#\w+|nan\(\w*\))", re.IGNORECASE)  # NaN as some C libraries print it


def plain_text(data: bytes) -> tuple[bytes, list[str]]:
    """The text with blanks instead of tabs and with LF at the end of every line; and what was mended, in words."""
    mended = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode("utf-8", "replace")
        mended.append("UTF-16 text")
    elif data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        mended.append("a byte order mark")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\r" in data:
            data = data.replace(b"\r", b"\n")
            mended.append("lines that end in CR")
    data = data.translate(_BLANK)
    return data if data.endswith(b"\n") else data + b"\n", mended


def blocks(text: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    """The text in pieces of whole lines, of about ``size`` bytes each.

    A piece fits into the caches of a processor, and work on it needs little memory compared with the whole text.
    """
    start = 0
    while start < len(text):
        end = text.rfind(b"\n", start, start + size) + 1 or text.find(b"\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines of a text.

    Attributes:
        content: [n] bytes of the text, uint8.
        lengths: [L] count of bytes of each line with its line end.
        words: [L] count of words in each line.
        first: [L] place in ``content`` where the first word of each line begins; any place for a line without words.
    """

    content: np.ndarray
    lengths: np.ndarray
    words: np.ndarray
    first: np.ndarray

    def begin_with(self, word: bytes) -> np.ndarray:
        """Whether the first word of each line [L] begins with ``word`` (given in lower case); case does not matter."""
        same = self.words > 0
        for place, letter in enumerate(word):
            at = np.minimum(self.first + place, len(self.content) - 1)
            same &= (self.content[at] | 0x20) == letter
        return same

    def pick(self, chosen: np.ndarray, skip: int) -> bytes:
        """The text of the chosen lines; blanks replace the first ``skip`` bytes of the first word of each.

        Args:
            chosen: [L] whether each line is chosen.
            skip: count of bytes that become blanks.
        """
        content = self.content.copy()
        content[(self.first[chosen][:, None] + np.arange(skip)).ravel()] = 0x20
        return content[np.repeat(chosen, self.lengths)].tobytes()


def lines_of(text: bytes) -> Lines:
    """The lines of a text whose last line has a line end."""
    content = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(content == 0x0A) + 1
    lengths = np.diff(ends, prepend=0)
    printed = content > 0x20
    begins = printed.copy()
    begins[1:] &= ~printed[:-1]
    words = np.add.reduceat(begins, ends - lengths, dtype=np.int64)
    begins = np.flatnonzero(begins)
    first = begins[np.minimum(np.cumsum(words) - words, len(begins) - 1)] if len(begins) else np.zeros_like(words)
    return Lines(content, lengths, words, first)


def numbers_of_lines(text: bytes) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """All numbers [n] of a text, the count of numbers in each line [L], and what was mended, in words.

    The last line of the text must have a line end.

    Raises:
        ValueError: if a word is not a number; the text names it.
    """
    text, mended = without_commas(text)
    values, words = numbers(text), lines_of(text).words if text else np.zeros(0, dtype=np.int64)
    if words.sum() != len(values):  # `lines_of` takes all bytes below 0x20 for blanks, `numbers` does not
        raise ValueError("expected numbers, found control characters among them")
    return values, words, mended


def numbers(text: bytes) -> np.ndarray:
    """All numbers of a text [n], float64.

    Raises:
        ValueError: if a word is not a number; the text names it.
    """
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError:
        words = _NOT_A_NUMBER.sub(b"nan", text).split()
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise ValueError(f"expected numbers, found `{wrong[:30].decode('ascii', 'replace')}`") from None


def without_commas(text: bytes) -> tuple[bytes, list[str]]:
    """The text with points for decimal commas and blanks for separating commas; and what was mended, in words.

    A comma is decimal if it is the only comma in its word, and the word has no point.
    """
    if b"," not in text:
        return text, []
    text = re.sub(rb",(?=\s)", b" ", text)
    if b"," not in text:
        return text, ["commas between numbers"]
    plain = _DECIMAL.sub(rb"\1.\2", text)
    said = ["decimal commas"] if plain != text else []
    return plain.replace(b",", b" "), said + ["commas between numbers"] * (b"," in plain)


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
