"""Teeth behind a closed gap: by its size a first molar is known, though it stands where a premolar would.

Where a premolar was extracted and its gap closed, all teeth behind it stand one place further forward than their
numbers say, and a net that goes by the place gives each the number of the one before.
"""

from __future__ import annotations

import numpy as np

from toothgraph.inference.numbering import ALONG, WHOLE
from toothgraph.mesh.frame import rotation_to_places
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.tooth_sizes import tooth_sizes

# The logarithms of a tooth's mesiodistal and buccolingual extents over those of the tooth behind it: mean and standard
# deviation, of the training patients of 3D-IOSSeg (benchmarks/tooth_sizes.py), widened for borders found by a net. Of
# milk molars there are too few: theirs are set by hand, after published crown sizes.
MOLAR = np.array([[0.065, 0.01], [0.08, 0.055]])  # the first before the second
PREMOLAR = np.array([[-0.385, -0.205], [0.06, 0.06]])  # the second before the first molar
MILK = np.array([[0.0, -0.17], [0.12, 0.05]])  # as long as the molar behind it, but narrower
MILK_SHARE = 0.3  # of what stands there and is no molar
SURE = 3.0  # nats by which a tooth must rather be a molar


def past_closed_gaps(mesh: Mesh, place: np.ndarray) -> np.ndarray:
    """Number anew the sides of a jaw on which the first molar stands as a premolar.

    On a side where the last two teeth are numbered 5 and 6, and the first of them is a molar by its size, these become
    6 and 7, and a 4 before them becomes the second premolar, since mostly the first is extracted. A side that has a 7
    or 8 stays as it is: with no tooth short, a wisdom tooth would have to be there.

    Args:
        mesh: F faces.
        place: [F] 0 gingiva, 1 … 16.

    Returns:
        [F] places.
    """
    area = np.bincount(place, weights=mesh.areas, minlength=17)
    teeth = [number for number in ALONG.tolist() if area[number] >= WHOLE]
    rotation = rotation_to_places(mesh.centroids, place)
    if rotation is None:
        return place
    sizes = tooth_sizes(mesh, [np.flatnonzero(place == number) for number in teeth], rotation[1])
    place = place.copy()
    for first in (0, 8):  # what the places of either side are counted from
        fifth, sixth = first + 5, first + 6
        behind = (place > sixth) & (place <= first + 8)
        if fifth not in teeth or sixth not in teeth or behind.any():
            continue
        if molar_odds(sizes[teeth.index(fifth)], sizes[teeth.index(sixth)]) > SURE:
            place[(place >= first + 4) & (place <= sixth)] += 1
    return place


def molar_odds(size: np.ndarray, behind: np.ndarray) -> float:
    """By how many nats a tooth is rather a molar than a premolar or a milk molar, by its size [2] and that [2] of the
    tooth behind it."""
    ratio = np.log(size / behind)
    other = np.logaddexp(
        np.log(1 - MILK_SHARE) + log_normal(ratio, PREMOLAR), np.log(MILK_SHARE) + log_normal(ratio, MILK)
    )
    return float(log_normal(ratio, MOLAR) - other)


def log_normal(value: np.ndarray, of: np.ndarray) -> float:
    """Log-density, up to a constant, of a normal distribution given as mean and standard deviation, [2, n]."""
    mean, deviation = of
    return float((-(((value - mean) / deviation) ** 2) / 2 - np.log(deviation)).sum())
