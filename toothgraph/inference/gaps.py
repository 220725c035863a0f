"""Teeth behind a closed gap get their own numbers, not those of the places they stand in.

Where a premolar was extracted and its gap closed, all teeth behind it stand one place further forward than their
numbers say, and a net that goes by the place gives each the number of the one before.
"""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.molars import molars_as_premolars


def past_closed_gaps(mesh: Mesh, place: np.ndarray) -> np.ndarray:
    """Number anew the sides of a jaw on which the first molar stands as a premolar.

    On a side where the last two teeth are numbered 5 and 6, and the first of them is a molar by its size
    (:func:`toothgraph.mesh.molars.molars_as_premolars`), these become 6 and 7, and a 4 before them becomes the second
    premolar, since mostly the first is extracted. A side that has a 7 or 8 stays as it is: with no tooth short, a
    wisdom tooth would have to be there.

    Args:
        mesh: F faces.
        place: [F] 0 gingiva, 1 … 16.

    Returns:
        [F] places.
    """
    there = np.isin(np.arange(18), place)
    ends_at_six = [fifth for fifth in (5, 13) if there[fifth : fifth + 4].tolist() == [True, True, False, False]]
    if not ends_at_six:  # as in most scans, whose sizes need not be measured
        return place
    molars = molars_as_premolars(mesh, place)
    place = place.copy()
    for fifth in ends_at_six:
        if fifth in molars:
            place[(place >= fifth - 1) & (place <= fifth + 1)] += 1
    return place
