"""One fixed colour per tooth number.

Hue depends on the kind of tooth (incisors red to orange, canines yellow, premolars green, molars blue to
violet) and is the same on the left and the right. Brightness alternates along the arch. It also differs between left
and right and between the jaws, so that people who do not see colours can tell neighbours apart.
"""

from __future__ import annotations

import colorsys

import numpy as np

GINGIVA_COLOUR = (244, 194, 194)
UNKNOWN_COLOUR = (128, 128, 128)

# hue in degrees and saturation of teeth 1 … 8 from the midline
_HUE = (8, 30, 52, 100, 160, 200, 232, 285)
_SATURATION = (0.85, 0.95, 0.95, 0.60, 0.75, 0.80, 0.70, 0.60)
# brightness (luma, 0 … 255) of odd and even teeth in quadrants 1 … 4
_LUMA = ((80, 160), (115, 195), (130, 205), (95, 175))
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # red, green, blue; ITU-R BT.601


def _tooth_colour(quadrant: int, tooth: int) -> tuple[int, int, int]:
    """The tooth's hue with the wanted luma. Luma increases with lightness, so bisection finds it."""
    wanted = _LUMA[quadrant - 1][(tooth + 1) % 2]
    low, high = 0.0, 1.0
    for _ in range(20):
        lightness = (low + high) / 2
        rgb = colorsys.hls_to_rgb(_HUE[tooth - 1] / 360, lightness, _SATURATION[tooth - 1])
        too_dark = 255 * np.dot(rgb, LUMA_WEIGHTS) < wanted
        low, high = (lightness, high) if too_dark else (low, lightness)
    red, green, blue = (round(255 * channel) for channel in rgb)
    return red, green, blue


COLOUR_OF_FDI: dict[int, tuple[int, int, int]] = {
    -1: UNKNOWN_COLOUR,
    0: GINGIVA_COLOUR,
    **{10 * q + t: _tooth_colour(q, t) for q in (1, 2, 3, 4) for t in range(1, 9)},
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
