"""Which kind of mouth a labelled scan shows: complete, with an open gap of a missing tooth, or with closed gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toothgraph.anatomy.dentition import CROWN_WIDTH, along
from toothgraph.anatomy.frame import ALONG
from toothgraph.anatomy.row import gap_between
from toothgraph.anatomy.sizes import LEAST
from toothgraph.fdi import class_to_position, fdi_to_class, jaw_of_labels
from toothgraph.mesh.mesh import Mesh

COMPLETE, OPEN, CLOSED = KINDS = ("complete", "open gap", "closed gap")
SHARE = 0.4  # an open gap has at least this share of the width of the missing teeth


def kind_of_mouth(mesh: Mesh) -> str:
    """The kind of mouth by the labels of a scan.

    ``complete``: no tooth is missing between two others. ``open gap``: teeth are missing, and at least one gap has room
    for them. ``closed gap``: teeth are missing, and no gap has room for them.

    Args:
        mesh: with labels.
    """
    assert mesh.labels is not None
    place = class_to_position(fdi_to_class(mesh.labels))
    area = np.bincount(place, mesh.areas, 17)
    there = np.flatnonzero(area[ALONG] >= LEAST)  # in order along the arch
    width = along(CROWN_WIDTH, max(jaw_of_labels(mesh.labels), 0))
    kinds = [COMPLETE]
    for first, second in pairwise(there):
        if second > first + 1:
            room = width[first + 1 : second].sum()
            pair = (mesh.centroids[place == ALONG[number]] for number in (first, second))
            kinds.append(OPEN if gap_between(*pair) >= SHARE * room else CLOSED)
    return max(kinds, key=(COMPLETE, CLOSED, OPEN).index)
