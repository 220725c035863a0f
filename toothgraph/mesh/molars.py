"""Which teeth are molars, by their size, whatever they are numbered."""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.tooth_sizes import sizes_by_place

# The logarithms of a tooth's mesiodistal and buccolingual extents over those of the tooth behind it: mean and standard
# deviation, of the training patients of 3D-IOSSeg (benchmarks/tooth_sizes.py), widened for borders found by a net. Of
# milk molars there are too few: theirs are set by hand, after published crown sizes.
MOLAR = np.array([[0.065, 0.01], [0.08, 0.055]])  # the first before the second
PREMOLAR = np.array([[-0.385, -0.205], [0.06, 0.06]])  # the second before the first molar
MILK = np.array([[0.0, -0.17], [0.12, 0.05]])  # as long as the molar behind it, but narrower
MILK_SHARE = 0.3  # of what stands there and is no molar
FLAT = 1e-3  # mm; a surface may have no extent at all
SURE = 3.0  # nats by which a tooth must rather be a molar


def molars_as_premolars(mesh: Mesh, place: np.ndarray) -> dict[int, float]:
    """The second premolars that are molars by their size, with a tooth numbered as a first molar behind them.

    That happens where a premolar was extracted and its gap closed, and the teeth are counted on past it.

    Args:
        mesh: F faces.
        place: [F] 1 … 16, 0 for gingiva and what is not known.

    Returns:
        Of the places 5 and 13 those that are surely molars, with :func:`molar_odds`.
    """
    sizes = sizes_by_place(mesh, place)
    pairs = {fifth: (sizes[fifth], sizes[fifth + 1]) for fifth in (5, 13) if fifth in sizes and fifth + 1 in sizes}
    odds = {fifth: molar_odds(*pair) for fifth, pair in pairs.items()}
    return {fifth: found for fifth, found in odds.items() if found > SURE}


def molar_odds(size: np.ndarray, behind: np.ndarray) -> float:
    """By how many nats a tooth is rather a molar than a premolar or a milk molar, by its size [2] and that [2] of the
    tooth behind it."""
    ratio = np.log(np.maximum(size, FLAT) / np.maximum(behind, FLAT))
    other = np.logaddexp(
        np.log(1 - MILK_SHARE) + _log_normal(ratio, PREMOLAR), np.log(MILK_SHARE) + _log_normal(ratio, MILK)
    )
    return float(_log_normal(ratio, MOLAR) - other)


def _log_normal(value: np.ndarray, of: np.ndarray) -> float:
    """Log-density, up to a constant, of a normal distribution given as mean and standard deviation, [2, n]."""
    mean, deviation = of
    return float((-(((value - mean) / deviation) ** 2) / 2 - np.log(deviation)).sum())
