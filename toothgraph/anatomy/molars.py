"""Which teeth are molars, from their size and not from their number."""

from __future__ import annotations

import numpy as np

from toothgraph.anatomy.sizes import sizes_by_place
from toothgraph.fdi import class_to_position, fdi_to_class
from toothgraph.mesh.mesh import Mesh

# Log-ratio of the mesiodistal and buccolingual extents of a tooth to those of the tooth behind it: mean and standard
# deviation. Measured on the training patients of 3D-IOSSeg (benchmarks/studies/tooth_sizes.py); the deviations are set
# larger, to allow for boundaries found by a net. There are too few milk molars, so their values are set by hand,
# after published crown sizes.
MOLAR = np.array([[0.065, 0.01], [0.08, 0.055]])  # first molar before second molar
PREMOLAR = np.array([[-0.385, -0.205], [0.06, 0.06]])  # second premolar before first molar
MILK = np.array([[0.0, -0.17], [0.12, 0.05]])  # milk molar: as long as the molar behind it, but narrower
MILK_SHARE = 0.3  # prior probability of a milk molar among teeth in this position that are not molars
SURE = 3.0  # nats, minimum log-odds of a molar
FLAT = 1e-3  # mm, lower limit of an extent


def molars_as_premolars(mesh: Mesh, place: np.ndarray, sure: float = SURE) -> dict[int, float]:
    """Teeth that are numbered as a second premolar but have the size of a molar.

    This happens if a premolar was extracted, its gap has closed, and the teeth were numbered without the gap. Only
    teeth with a "first molar" behind them are tested.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16; 0 for gingiva and unknown.
        sure: minimum log-odds, nats.

    Returns:
        The positions, of 5 and 13, at which there is a molar, with their :func:`molar_odds`.
    """
    sizes = sizes_by_place(mesh, place)
    pairs = {fifth: (sizes[fifth], sizes[fifth + 1]) for fifth in (5, 13) if fifth in sizes and fifth + 1 in sizes}
    odds = {fifth: molar_odds(*pair) for fifth, pair in pairs.items() if np.isfinite(pair).all()}
    return {fifth: found for fifth, found in odds.items() if found > sure}


def counts_past_gap(mesh: Mesh) -> bool:
    """Whether the labels of a mesh call a molar a premolar, and so number all teeth behind it wrongly."""
    assert mesh.labels is not None
    return bool(molars_as_premolars(mesh, class_to_position(fdi_to_class(mesh.labels))))


def molar_odds(size: np.ndarray, behind: np.ndarray) -> float:
    """Log-odds (nats) that a tooth is a molar and not a premolar or a milk molar, by its size.

    Args:
        size: [2] mm, mesiodistal and buccolingual extent of the tooth.
        behind: [2] mm, the same extents of the tooth behind it.
    """
    ratio = np.log(np.maximum(size, FLAT) / np.maximum(behind, FLAT))
    other = np.logaddexp(
        np.log(1 - MILK_SHARE) + _log_normal(ratio, PREMOLAR), np.log(MILK_SHARE) + _log_normal(ratio, MILK)
    )
    return float(_log_normal(ratio, MOLAR) - other)


def _log_normal(value: np.ndarray, of: np.ndarray) -> float:
    """Log-density, up to a constant, of a normal distribution given as mean and standard deviation, [2, n]."""
    mean, deviation = of
    return float((-(((value - mean) / deviation) ** 2) / 2 - np.log(deviation)).sum())
