"""Pieces, lines and numbers of texts."""

from __future__ import annotations

import numpy as np
import pytest

from toothgraph.io.formats.text import blocks, lines_of, numbers, numbers_of_lines, plain_text, without_commas


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_pieces_are_whole_lines_and_make_up_the_text(size: int) -> None:
    text = b"v 1\n\nlonger than that\nf\n"
    pieces = list(blocks(text, size))
    assert b"".join(pieces) == text and all(piece.endswith(b"\n") for piece in pieces)
    assert max(map(len, pieces)) <= max(size, len(b"longer than that\n"))


def test_lines() -> None:
    lines = lines_of(b"  Vertex 1 2\n\n   \nv 3\nvn 4 5 6\n")
    assert lines.words.tolist() == [3, 0, 0, 2, 4] and lines.lengths.tolist() == [13, 1, 4, 4, 9]
    assert lines.begin_with(b"vertex").tolist() == [True, False, False, False, False]
    assert lines.begin_with(b"v").tolist() == [True, False, False, True, True]
    assert lines.pick(lines.begin_with(b"vertex"), skip=6) == b"         1 2\n"
    nothing = lines_of(b"\n")
    assert nothing.words.tolist() == [0] and nothing.pick(nothing.begin_with(b"v"), skip=1) == b""


@pytest.mark.parametrize(
    ("text", "plain", "said"),
    [
        (b"1.5 2\n", b"1.5 2\n", []),
        (b"1,5 -2,5e3\n", b"1.5 -2.5e3\n", ["decimal commas"]),
        (b"1, 2, 3.5\n", b"1  2  3.5\n", ["commas between numbers"]),
        (b"1.5,2.5,3\n", b"1.5 2.5 3\n", ["commas between numbers"]),
        (b"1,2,3\n", b"1 2 3\n", ["commas between numbers"]),
        (b"1,5 2.5 3,25\n", b"1.5 2.5 3.25\n", ["decimal commas"]),
    ],
)
def test_commas(text: bytes, plain: bytes, said: list[str]) -> None:
    assert without_commas(text) == (plain, said)


def test_numbers() -> None:
    values, counts, _ = numbers_of_lines(b"1 2e-3\n\n inf 4 -1.#IND\n")
    np.testing.assert_array_equal(values, [1, 0.002, np.inf, 4, np.nan])
    assert counts.tolist() == [2, 0, 3]
    assert numbers_of_lines(b"")[1].tolist() == []
    with pytest.raises(ValueError, match=r"expected numbers, found `1\.5\.2`"):
        numbers(b"1 1.5.2 3")


def test_plain_text() -> None:
    assert plain_text(b"\xef\xbb\xbfa\r\n\tb\rc\x1a") == (b"a\n b\nc \n", ["a byte order mark", "lines that end in CR"])
    assert plain_text("é\n".encode("utf-16")) == ("é\n".encode(), ["UTF-16 text"])
