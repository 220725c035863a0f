"""Crown shapes by tooth type, as implicit functions.

The functions are negative inside a crown, and approximately the distance in mm near its surface. Widths are textbook
means of permanent teeth. Visible crown heights, inclinations and tip levels follow the medians of scanned arches. Each
crown has its own frame: ``a`` distal, ``b`` buccal, ``c`` along the axis from the gingival margin (0) to the bite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toothgraph.fdi import LOWER, UPPER

# A cusp: position as fractions of the half width (distal +) and half depth (buccal +), and mm below the tip.
Cusp = tuple[float, float, float]

_TWO_CUSPS: tuple[Cusp, ...] = ((0.0, 0.55, 0.0), (0.0, -0.55, 0.7), (-0.75, 0.0, 1.5), (0.75, 0.0, 1.5))
_SMALL_LINGUAL: tuple[Cusp, ...] = (
    (0.0, 0.45, 0.0),
    (-0.1, -0.6, 1.8),
    (-0.75, -0.1, 2.0),
    (0.75, -0.1, 2.0),
)
_UPPER_MOLAR: tuple[Cusp, ...] = (
    (-0.45, 0.60, 0.1),
    (0.48, 0.58, 0.4),
    (-0.30, -0.50, 0.0),
    (0.60, -0.60, 1.0),
    (-0.85, 0.0, 1.4),
    (0.85, 0.1, 1.6),
)
_FIVE_CUSPS: tuple[Cusp, ...] = (
    (-0.55, 0.55, 0.2),
    (0.10, 0.62, 0.3),
    (0.68, 0.35, 0.8),
    (-0.50, -0.60, 0.0),
    (0.45, -0.60, 0.1),
    (-0.88, 0.0, 1.4),
)
_FOUR_CUSPS: tuple[Cusp, ...] = (
    (-0.48, 0.56, 0.1),
    (0.48, 0.56, 0.3),
    (-0.48, -0.58, 0.0),
    (0.48, -0.58, 0.2),
    (-0.88, 0.0, 1.4),
    (0.88, 0.0, 1.5),
)


@dataclass(frozen=True)
class Crown:
    """Size and shape of one crown. Lengths in mm, angles in degrees.

    Attributes:
        width: mesiodistal.
        depth: buccolingual.
        height: gingival margin to tip.
        tip: level of the tip on the occlusal axis.
        torque: inclination of the axis, buccal positive.
        cusps: empty for incisors and canines; their crown is a blade.
        point: height difference between the middle and the corners of a blade's edge (canines).
        wear: height that the highest cusps have lost.
    """

    width: float
    depth: float
    height: float
    tip: float
    torque: float
    cusps: tuple[Cusp, ...] = ()
    point: float = 0.4
    wear: float = 0.0


# By jaw, then by the second digit of the FDI number.
CROWNS: dict[int, dict[int, Crown]] = {
    UPPER: {
        1: Crown(8.6, 6.8, 9.4, 3.5, 24.0),
        2: Crown(6.7, 6.0, 8.2, 3.2, 22.0),
        3: Crown(7.7, 7.6, 9.0, 4.2, 12.0, point=1.9),
        4: Crown(7.0, 9.2, 7.4, 5.1, 3.0, _TWO_CUSPS),
        5: Crown(6.8, 9.0, 6.6, 5.2, 2.0, _TWO_CUSPS),
        6: Crown(10.2, 11.0, 6.4, 5.4, 4.0, _UPPER_MOLAR),
        7: Crown(9.5, 10.8, 6.3, 5.2, 8.0, _UPPER_MOLAR),
        8: Crown(8.6, 10.0, 5.6, 4.6, 10.0, _UPPER_MOLAR),
    },
    LOWER: {
        1: Crown(5.4, 5.8, 8.3, -1.5, 14.0),
        2: Crown(5.9, 6.1, 8.4, -1.6, 12.0),
        3: Crown(6.9, 7.4, 8.8, -2.0, 5.0, point=1.7),
        4: Crown(7.1, 7.6, 7.4, -2.9, -3.0, _SMALL_LINGUAL),
        5: Crown(7.2, 8.3, 6.6, -3.6, -7.0, _TWO_CUSPS),
        6: Crown(11.2, 10.4, 6.4, -3.8, -10.0, _FIVE_CUSPS),
        7: Crown(10.5, 10.2, 6.0, -3.6, -13.0, _FOUR_CUSPS),
        8: Crown(10.0, 9.5, 5.0, -3.4, -15.0, _FOUR_CUSPS),
    },
}


def smooth_max(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """Smooth maximum: its edge is rounded over ``radius``. Same shape as the inputs."""
    overlap = np.maximum(radius - np.abs(first - second), 0.0)
    return np.maximum(first, second) + overlap**2 / (4.0 * radius)


def smooth_min(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """Smooth minimum: its edge is rounded over ``radius``. Same shape as the inputs."""
    return -smooth_max(-first, -second, radius)


def crown_distance(crown: Crown, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Implicit function of a crown and the root stump below it.

    Args:
        crown: size and shape.
        a, b, c: distal, buccal and axial coordinates, mm; arrays of one shape.

    Returns:
        Same shape; negative inside, approximately the distance in mm near the surface.
    """
    shape = _cusped if crown.cusps else _blade
    wall, roof = shape(crown, a, b, c)
    distance = smooth_max(wall, roof, 0.9 if crown.cusps else 0.7)
    return np.maximum(distance, -5.0 - c)  # the stump ends inside the gum


def _wall(a: np.ndarray, b: np.ndarray, wide: np.ndarray, deep: np.ndarray, power: float) -> np.ndarray:
    """Distance along the ray from the axis to a superellipse with half axes ``wide`` and ``deep``."""
    ratio = ((np.abs(a) / wide) ** power + (np.abs(b) / deep) ** power) ** (1.0 / power)
    return (ratio - 1.0) * np.sqrt(a**2 + b**2) / np.maximum(ratio, 1e-3)


def _stump(c: np.ndarray) -> np.ndarray:
    """Factor by which the root narrows below the margin."""
    return 1.0 - 0.09 * np.clip(-c, 0.0, 5.0)


def _cusped(crown: Crown, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Premolars and molars: a convex wall and a roof of cusps with fissures between them."""
    up = np.clip(c / crown.height, 0.0, 1.0)
    belly = 1.0 - (1.0 - np.minimum(up / 0.5, 1.0)) ** 2
    taper = 1.0 - 0.10 * np.maximum(up - 0.5, 0.0) / 0.5
    wide = 0.5 * crown.width * (0.80 + 0.20 * belly) * taper * _stump(c)
    deep = 0.5 * crown.depth * (0.88 + 0.12 * belly) * taper * _stump(c)
    wall = _wall(a, b, wide, deep, 2.9)
    top = np.full_like(a, -np.inf)
    for distal, buccal, below in crown.cusps:
        away = (a - distal * crown.width / 2) ** 2 + (b - buccal * crown.depth / 2) ** 2
        top = np.maximum(top, crown.height - below - 0.75 * (np.sqrt(away + 0.36) - 0.6))
    if crown.wear > 0:
        top = smooth_min(top, np.full_like(top, crown.height - crown.wear), 0.5)
    return wall, 0.8 * (c - top)


def _blade(crown: Crown, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Incisors and canines: the lingual side is concave and ends in an edge, which is pointed for a canine."""
    up = np.clip(c / crown.height, 0.0, 1.0)
    canine = crown.point > 1.0
    wide = 0.5 * crown.width * (0.82 + 0.18 * np.sin(0.5 * np.pi * np.minimum(up / 0.6, 1.0))) * _stump(c)
    edge = 1.4 if canine else 0.9
    thick = (edge + (crown.depth - edge) * (1.0 - up) ** 1.25) * _stump(c)
    labial = 0.5 * crown.depth * (1.0 - 0.35 * up**2) * _stump(c)
    wall = _wall(a, b - labial + 0.5 * thick, wide, 0.5 * thick, 2.2 if canine else 2.7)
    along = np.sqrt((a / (0.5 * crown.width)) ** 2 + 0.02)
    fall = crown.point * (along if canine else along**2 + 0.5 * np.maximum(a, 0.0) / crown.width)
    top = crown.height - np.maximum(fall, crown.wear)
    return wall, 0.9 * (c - top)
