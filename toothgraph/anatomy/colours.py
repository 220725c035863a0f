"""One fixed colour per tooth number.

Some teeth have colours that are far apart (by CIEDE2000), also for people who do not see the difference between red and
green, or blue and yellow: neighbours, teeth on both sides of a gap, opposite teeth, and the same tooth of the left and
the right side. Any two teeth of one jaw can be told apart. So can each tooth and the background of a light or a dark
page. Neighbours also differ in brightness alone. The colours were found by a random search that made the smallest
distance as large as possible; tests/anatomy/test_colours.py has these distances. Primary teeth have paler colours of
their successors.
"""

from __future__ import annotations

import numpy as np

from toothgraph.fdi import PRIMARY_TEETH, TO_PRIMARY

GINGIVA_COLOUR = (244, 194, 194)
UNKNOWN_COLOUR = (128, 128, 128)

_RGB = {
    11: 0x5599FF, 12: 0xAACC77, 13: 0x990055, 14: 0xCCBBFF, 15: 0x007799, 16: 0x990000, 17: 0x66AA88, 18: 0x0044AA,
    21: 0x995555, 22: 0x7700EE, 23: 0xCC8844, 24: 0x445533, 25: 0x66FF00, 26: 0xFF44DD, 27: 0x005555, 28: 0x887700,
    31: 0x0033FF, 32: 0xCCDDFF, 33: 0x555555, 34: 0x11AAAA, 35: 0x880099, 36: 0xBB5533, 37: 0xBBDD00, 38: 0xAA66FF,
    41: 0x66FF88, 42: 0xAA1133, 43: 0xFF88CC, 44: 0x998866, 45: 0x115511, 46: 0x66BBFF, 47: 0x775577, 48: 0xDD7700,
}  # fmt: skip


def _split(rgb: int) -> tuple[int, int, int]:
    return rgb >> 16, (rgb >> 8) & 255, rgb & 255


def _pale(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """The colour of a primary tooth, from that of its successor."""
    red, green, blue = ((3 * value + 2 * 255) // 5 for value in rgb)
    return red, green, blue


COLOUR_OF_FDI: dict[int, tuple[int, int, int]] = {
    -1: UNKNOWN_COLOUR,
    0: GINGIVA_COLOUR,
    **{fdi: _split(rgb) for fdi, rgb in _RGB.items()},
    **{fdi: _pale(_split(_RGB[fdi - TO_PRIMARY])) for fdi in PRIMARY_TEETH.tolist()},
}

_TABLE = np.full((100, 3), UNKNOWN_COLOUR, dtype=np.uint8)
for _fdi, _colour in COLOUR_OF_FDI.items():
    if _fdi >= 0:
        _TABLE[_fdi] = _colour


def colours(fdi: np.ndarray) -> np.ndarray:
    """The colours [n, 3] uint8 of FDI numbers [n]; a number that is neither 0 nor a tooth is grey.

    Example:
        >>> colours(np.array([0, 11, 99])).tolist()  # 99 is no tooth
        [[244, 194, 194], [85, 153, 255], [128, 128, 128]]
    """
    fdi = np.asarray(fdi)
    inside = (fdi >= 0) & (fdi < 100)
    return np.where(inside[..., None], _TABLE[np.where(inside, fdi, 0)], np.uint8(UNKNOWN_COLOUR[0]))
