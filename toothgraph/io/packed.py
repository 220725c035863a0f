"""Whole numbers as short text, for the log and the page of a review."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

from toothgraph.errors import LabelError

MOST = 1 << 28  # bytes of unpacked numbers


def packed(values: np.ndarray) -> str:
    """Whole numbers [n], less than 2³¹, as text: their differences as little-endian int32, deflated, in base64."""
    steps = np.diff(np.asarray(values, dtype=np.int64), prepend=0).astype("<i4")
    return base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode("ascii")


def unpacked(text: str) -> np.ndarray:
    """The whole numbers [n], int64, of a text that :func:`packed` has made.

    Raises:
        LabelError: for any other text.
    """
    try:
        engine = zlib.decompressobj()
        content = engine.decompress(base64.b64decode(text, validate=True), MOST)
        if engine.unconsumed_tail or not engine.eof:
            raise ValueError("it does not end")
        return np.cumsum(np.frombuffer(content, dtype="<i4"), dtype=np.int64)
    except (ValueError, TypeError, binascii.Error, zlib.error) as error:
        raise LabelError(f"expected packed whole numbers, cannot unpack them: {error}") from error
