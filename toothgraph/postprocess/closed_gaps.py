"""Correct the numbers of teeth behind a closed gap.

If a premolar was extracted and its gap has closed, all teeth behind it are one position further forward. A network that
numbers teeth by position then gives each of them a number that is too low by one.
"""

from __future__ import annotations

import numpy as np

from toothgraph.anatomy.molars import molars_as_premolars
from toothgraph.mesh.mesh import Mesh
from toothgraph.rules import DEFAULT, GapRules


def past_closed_gaps(mesh: Mesh, place: np.ndarray, rules: GapRules = DEFAULT.gaps) -> np.ndarray:
    """Change the numbers on each side where the first molar is numbered as a premolar.

    This applies if the last two teeth of a side are numbered 5 and 6, and the first of them has the size of a molar
    (:func:`toothgraph.anatomy.molars.molars_as_premolars`). They become 6 and 7. A 4 before them becomes 5, because
    usually the first premolar is extracted. A side with a 7 or 8 is not changed: a closed gap there would mean that
    a wisdom tooth is present.

    Args:
        mesh: F faces.
        place: [F] positions 1 … 16, 0 gingiva.
        rules: minimum log-odds of a molar.

    Returns:
        [F] positions.
    """
    there = np.isin(np.arange(18), place)
    ends_at_six = [fifth for fifth in (5, 13) if there[fifth : fifth + 4].tolist() == [True, True, False, False]]
    if not ends_at_six:  # true for most scans: tooth sizes are not needed
        return place
    molars = molars_as_premolars(mesh, place, rules.sure)
    place = place.copy()
    for fifth in ends_at_six:
        if fifth in molars:
            place[(place >= fifth - 1) & (place <= fifth + 1)] += 1
    return place
