"""Numbers that cannot be right, whatever the teeth look like: out of order along the arch, or on two teeth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from toothgraph.anatomy.frame import ALONG, TEETH_NEEDED, arch_rotation, bite_of
from toothgraph.anatomy.jaw_parts import jaw_parts
from toothgraph.anatomy.row import gap_between, order_along_arch
from toothgraph.anatomy.sizes import LEAST, WHOLE_TOOTH
from toothgraph.anatomy.tooth_text import ToothText, tooth_text
from toothgraph.fdi import JAW_NAMES, LOWER, class_to_position, fdi_to_class, jaw_of_each, jaw_of_teeth, successors_of
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces

STEP = 3.0  # mm between two middles along the arch; nearer teeth, such as crowded ones, have no clear order
APART = 3.0  # mm between two pieces of one number; nearer pieces may be the torn surface of one tooth


@dataclass(frozen=True, eq=False)
class Crown:
    """A piece of a labelled surface that is large enough to be a tooth.

    Attributes:
        fdi: its number.
        place: 0 … 15, where that number belongs along the arch.
        middle: [3] mm.
        faces: indices.
        area: mm².
    """

    fdi: int
    place: int
    middle: np.ndarray
    faces: np.ndarray
    area: float

    @property
    def jaw(self) -> int:
        """The jaw of the crown's number."""
        return int(jaw_of_each(np.array(self.fdi)))


def number_faults(mesh: Mesh) -> list[ToothText]:
    """Impossible numbers of a labelled scan, one sentence for each fault; most scans have none.

    The faults are:

    * a number on two teeth that are apart;
    * two teeth next to each other whose numbers are in the wrong order;
    * all numbers in the wrong direction: left and right are exchanged;
    * a number of the other jaw, on the surface that has the other teeth.

    If the labels show both jaws, each jaw is checked separately.

    Args:
        mesh: with labels.
    """
    if parts := jaw_parts(mesh):
        return [fault for part in parts for fault in number_faults(mesh.part(part))]
    crowns = labelled_crowns(mesh)
    largest = _largest(crowns)
    faults = [
        tooth_text([crown.fdi], f" is on two teeth, {gap:.0f} mm apart; one of them has another number")
        for crown in crowns
        if crown is not (main := largest[crown.fdi]) and crown.area >= WHOLE_TOOTH
        if (gap := gap_between(mesh.centroids[crown.faces], mesh.centroids[main.faces])) > APART
    ]
    most = _jaw_of([*largest])
    own = [crown for crown in largest.values() if crown.jaw == most]
    faults += [
        tooth_text([crown.fdi], f" is a number of the {JAW_NAMES[crown.jaw]} jaw; most teeth here are of the "
                                f"{JAW_NAMES[most]} jaw")
        for crown in largest.values()
        if crown.jaw != most and _on_one_surface(mesh, crown, own)
    ]  # fmt: skip
    row = _row(mesh, own)
    wrong = _out_of_order(row)
    if len(_out_of_order(row[::-1])) < len(wrong):
        return [*faults, tooth_text("the numbers run the wrong way along the arch; are left and right exchanged?")]
    return faults + [_said(row, pair) for pair in wrong]


def numbers_along_arch(mesh: Mesh) -> list[int]:
    """The number of each tooth of a labelled scan, in the order in which the teeth stand along the arch.

    The order is from the patient's right to the left, as in a dental chart. If the labels show both jaws, the upper jaw
    comes first. The list is empty if there are too few teeth to show where the arch begins.
    """
    if parts := jaw_parts(mesh):
        return [number for part in parts for number in numbers_along_arch(mesh.part(part))]
    return _as_read(_row(mesh, list(_largest(labelled_crowns(mesh)).values())))


def said_along_arch(mesh: Mesh) -> str:
    """The numbers of :func:`numbers_along_arch` as text."""
    return " ".join(map(str, numbers_along_arch(mesh))) or "too few teeth to tell"


def _as_read(row: list[Crown]) -> list[int]:
    """The numbers of a row of crowns from the patient's right to the left; the row of a lower jaw is reversed."""
    numbers = [crown.fdi for crown in row]
    return numbers[::-1] if _jaw_of(numbers) == LOWER else numbers


def _jaw_of(numbers: list[int]) -> int:
    """The jaw to which most of the numbers belong, milk teeth included."""
    return jaw_of_teeth(np.array(numbers, dtype=int))


def _on_one_surface(mesh: Mesh, crown: Crown, others: list[Crown]) -> bool:
    """Whether a crown is on the same connected surface as one of the others.

    A file may show teeth of the other jaw on a separate surface.
    """
    return mesh.pieces[crown.faces[0]] in {mesh.pieces[other.faces[0]] for other in others}


def _largest(crowns: list[Crown]) -> dict[int, Crown]:
    """The largest piece of each number."""
    return {crown.fdi: crown for crown in sorted(crowns, key=lambda crown: crown.area)}


def labelled_crowns(mesh: Mesh) -> list[Crown]:
    """The pieces of labelled teeth, permanent and milk teeth, of at least ``LEAST`` mm², in any order."""
    assert mesh.labels is not None
    position = _positions(mesh.labels)
    piece = label_pieces(mesh.labels, mesh.adjacency)
    area = np.bincount(piece, mesh.areas)
    found = []
    for number in np.unique(piece[position > 0]):
        if area[number] >= LEAST:
            faces = np.flatnonzero(piece == number)
            middle = np.average(mesh.centroids[faces], axis=0, weights=mesh.areas[faces])
            place = int(np.flatnonzero(position[faces[0]] == ALONG)[0])
            found.append(Crown(int(mesh.labels[faces[0]]), place, middle, faces, float(area[number])))
    return found


def _positions(labels: np.ndarray) -> np.ndarray:
    """The position of each label [F]; a milk tooth has the position of its successor."""
    return class_to_position(fdi_to_class(successors_of(labels)))


def _row(mesh: Mesh, crowns: list[Crown]) -> list[Crown]:
    """Crowns in their order along the arch; empty if there are too few.

    If front teeth are missing, the row may begin behind their gap. So the beginning is chosen that breaks the order of
    the numbers least.
    """
    up = _up(mesh)
    if up is None or len(crowns) < TEETH_NEEDED:
        return []
    order = order_along_arch(np.stack([crown.middle for crown in crowns]), up)[0]
    row = [crowns[index] for index in order]
    turns = [row[first:] + row[:first] for first in range(len(row))]
    return min(turns, key=lambda turn: sum(first.place > second.place for first, second in pairwise(turn)))


def _up(mesh: Mesh) -> np.ndarray | None:
    """The direction of the bite [3], from the shape, or for a closed surface from the numbers; None if not known."""
    assert mesh.labels is not None
    position = _positions(mesh.labels)
    if (up := bite_of(mesh, position)) is not None:
        return up
    rotation = arch_rotation(mesh, position)
    return None if rotation is None else rotation[1]


def _out_of_order(row: list[Crown]) -> list[int]:
    """The places in a row where two neighbours are clearly in the wrong order."""
    wrong = []
    for place, (first, second) in enumerate(pairwise(row)):
        if first.place > second.place:
            before, after = row[max(place - 1, 0)], row[min(place + 2, len(row) - 1)]
            direction = after.middle - before.middle
            step = (second.middle - first.middle) @ direction / max(float(np.linalg.norm(direction)), 1e-9)
            if step > STEP:
                wrong.append(place)
    return wrong


def _said(row: list[Crown], place: int) -> ToothText:
    first, second = _as_read(row[place : place + 2])
    shown: list[str | list[int]] = []
    for fdi in _as_read(row[max(place - 2, 0) : place + 4]):
        shown += [[fdi], " "]
    order = " are in the wrong order; from the patient's right to the left there are … "
    return tooth_text([first], " and ", [second], order, *shown, "…")
