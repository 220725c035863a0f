"""Numbers as text and back."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from toothgraph.errors import LabelError
from toothgraph.io.packed import packed, unpacked


@pytest.mark.parametrize("values", [[], [5], [0, -1, 48, 11, 2**31 - 1, 0], list(range(100_000))])
def test_numbers_come_back(values: list[int]) -> None:
    assert unpacked(packed(np.array(values, dtype=np.int64))).tolist() == values


def test_what_is_usual_is_short() -> None:
    assert len(packed(np.repeat([0, 36, 0, 37], 50_000))) < 2000


@pytest.mark.parametrize("text", ["", "%", "AAAA", base64.b64encode(zlib.compress(b"abc")).decode(), None])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(LabelError, match="cannot unpack"):
        unpacked(text)


def test_a_bomb_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(1 << 29))).decode()
    with pytest.raises(LabelError, match="does not end"):
        unpacked(bomb)
