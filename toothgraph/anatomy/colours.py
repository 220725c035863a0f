"""One fixed colour per tooth number.

Neighbours, the tooth after the next (a neighbour where one is missing), the same tooth of the other side and of the
other jaw are far apart in CIELAB, also for people who see red and green, or blue and yellow, alike. Neighbours also
differ in brightness alone. The colours were found by a random search for the largest least distance.
"""

from __future__ import annotations

import numpy as np

GINGIVA_COLOUR = (244, 194, 194)
UNKNOWN_COLOUR = (128, 128, 128)

_RGB = {
    11: 0x316A43, 12: 0x8B57D7, 13: 0xA9ADEC, 14: 0x1CD068, 15: 0x2B6A88, 16: 0xAA8EFA, 17: 0x39A86E, 18: 0x9D3B89,
    21: 0xD88B0D, 22: 0xAD1889, 23: 0xBB8B65, 24: 0x1297D3, 25: 0xB1BF1A, 26: 0xAC1490, 27: 0xF993D9, 28: 0xE0660C,
    31: 0x62F68A, 32: 0x1D7745, 33: 0x9BB228, 34: 0x4153CF, 35: 0x6FF88D, 36: 0x517B11, 37: 0x6287F6, 38: 0xA23D4D,
    41: 0x9C711B, 42: 0x64A2C2, 43: 0xE0E497, 44: 0xB33806, 45: 0x90A1F1, 46: 0xC8E857, 47: 0x7B580A, 48: 0x6CE380,
}  # fmt: skip


def _split(rgb: int) -> tuple[int, int, int]:
    return rgb >> 16, (rgb >> 8) & 255, rgb & 255


COLOUR_OF_FDI: dict[int, tuple[int, int, int]] = {
    -1: UNKNOWN_COLOUR,
    0: GINGIVA_COLOUR,
    **{fdi: _split(rgb) for fdi, rgb in _RGB.items()},
}

_TABLE = np.full((100, 3), UNKNOWN_COLOUR, dtype=np.uint8)
for _fdi, _colour in COLOUR_OF_FDI.items():
    if _fdi >= 0:
        _TABLE[_fdi] = _colour


def colours(fdi: np.ndarray) -> np.ndarray:
    """FDI numbers [n] to colours [n, 3] uint8. Anything but 0 and the permanent teeth is grey."""
    fdi = np.asarray(fdi)
    inside = (fdi >= 0) & (fdi < 100)
    return np.where(inside[..., None], _TABLE[np.where(inside, fdi, 0)], np.uint8(UNKNOWN_COLOUR[0]))
