"""A simulated reviewer who knows the true labels, and always takes the step that corrects most teeth per second.

Times are from the keystroke-level model: Card, Moran and Newell, CACM 1980, https://doi.org/10.1145/358886.358895
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toothgraph.errors import OperationError
from toothgraph.fdi import CHART
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import label_pieces
from toothgraph.postprocess.borders import neighbours
from toothgraph.review.operations import Operation, apply
from toothgraph.review.surface import Surface

GOOD = 0.9  # least IoU of a tooth that is right
LEAST = 5.0  # mm²; a smaller area of one number is no tooth, in the labels and in the truth
KEY, POINT, PRESS, THINK, HOME = 0.28, 1.10, 0.20, 1.35, 0.40  # seconds, from the model; HOME: hand from mouse to keys
CLICK = POINT + PRESS
PICK = THINK + CLICK
SECONDS = {
    "renumber": PICK + HOME + 2 * KEY,
    "shift": PICK + HOME + KEY,
    "swap": PICK + HOME + KEY + CLICK,
    "merge": PICK + HOME + KEY + CLICK,
    "gingiva": PICK + HOME + KEY,
    "split": THINK + KEY + 2 * CLICK + HOME + 2 * KEY,  # with the number of the second half
    "new": THINK + KEY + CLICK + HOME + 2 * KEY,
    "border": PICK + KEY + HOME,  # plus a click for each point
    "paint": PICK + KEY + HOME,  # plus the strokes
}
POINTS = 8  # on a border
BRUSH, SPEED = 3.0, 10.0  # width in mm; mm per second, as along a border, where care is taken


@dataclass(frozen=True)
class Done:
    """One step of the reviewer.

    Attributes:
        kind: kind of the operation.
        seconds: estimated duration.
    """

    kind: str
    seconds: float


def overlap(mesh: Mesh, first: np.ndarray, second: np.ndarray) -> float:
    """IoU by area of two sets of faces [F] bool."""
    either = mesh.areas[first | second].sum()
    return float(mesh.areas[first & second].sum() / either) if either else 1.0


def teeth_of(mesh: Mesh, labels: np.ndarray) -> list[int]:
    """The FDI numbers that cover more than ``LEAST`` mm²."""
    return [fdi for fdi in CHART if mesh.areas[labels == fdi].sum() > LEAST]


def wrong_teeth(mesh: Mesh, truth: np.ndarray, labels: np.ndarray) -> list[int]:
    """True teeth with a wrong number or surface, and numbers that are on no tooth.

    Faces with unknown truth count as right.
    """
    labels = np.where(truth < 0, truth, labels)
    there = teeth_of(mesh, truth)
    wrong = [tooth for tooth in there if overlap(mesh, truth == tooth, labels == tooth) < GOOD]
    return wrong + [tooth for tooth in teeth_of(mesh, labels) if tooth not in there]


def review(surface: Surface, truth: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[Done]]:
    """Correct labels [F] until all teeth are right. Return the labels and the steps."""
    done: list[Done] = []
    while wrong := wrong_teeth(surface.mesh, truth, labels):
        best = None
        for operation, seconds in candidates(surface, truth, labels, wrong):
            try:
                after = apply(surface, labels, operation)
            except OperationError:
                continue
            gain = len(wrong) - len(wrong_teeth(surface.mesh, truth, after))
            if gain > 0 and (best is None or gain / seconds > best[0]):
                best = gain / seconds, after, Done(operation.kind, seconds)
        if best is None:  # the brush always helps
            operation, seconds = painted(surface.mesh, truth, labels, wrong[0])
            best = 0.0, apply(surface, labels, operation), Done("paint", seconds)
        labels = best[1]
        done.append(best[2])
    return labels, done


def candidates(
    surface: Surface, truth: np.ndarray, labels: np.ndarray, wrong: list[int]
) -> Iterator[tuple[Operation, float]]:
    """Yield the steps worth trying, with their seconds."""
    mesh = surface.mesh
    there = set(teeth_of(mesh, labels))
    for tooth in wrong:
        own = truth == tooth
        if not own.any():  # a number on no tooth
            yield from _of_no_tooth(mesh, truth, labels, tooth)
            continue
        given = most_of(mesh, labels, own)
        # 1. The tooth has another number.
        if given > 0 and given != tooth:
            for kind in ("renumber", "swap", "merge"):
                yield Operation(kind, given, tooth), SECONDS[kind]
            for step in (-1, 1):
                if given + step in CHART:
                    yield Operation("shift", given, given + step), SECONDS["shift"]
        # 2. Two teeth have one number.
        if given > 0:
            other = next((each for each in _sharing(mesh, truth, labels, given) if each != tooth), None)
            if other is not None:
                for first, second in ((tooth, other), (other, tooth)):
                    clicks = (middle_of(mesh, truth, first), middle_of(mesh, truth, second))
                    yield Operation("split", None, second, clicks), SECONDS["split"]
        # 3. The tooth has no label, or its border is wrong.
        if given == 0 and tooth not in there:
            yield Operation("new", None, tooth, (middle_of(mesh, truth, tooth),)), SECONDS["new"]
        points = border_of(surface, truth, tooth)
        if len(points) >= 3:
            yield Operation("border", None, tooth, points), SECONDS["border"] + (len(points) + 1) * CLICK
        yield painted(mesh, truth, labels, tooth)


def _of_no_tooth(mesh: Mesh, truth: np.ndarray, labels: np.ndarray, number: int) -> Iterator[tuple[Operation, float]]:
    """Yield the steps worth trying for a number that the truth does not have."""
    under = most_of(mesh, truth, labels == number)
    yield Operation("gingiva", number), SECONDS["gingiva"]
    if under > 0:
        for kind in ("renumber", "merge"):
            yield Operation(kind, number, under), SECONDS[kind]
    for step in (-1, 1):
        if number + step in CHART:
            yield Operation("shift", number, number + step), SECONDS["shift"]
    yield painted(mesh, truth, labels, number)


def most_of(mesh: Mesh, labels: np.ndarray, faces: np.ndarray) -> int:
    """The number that covers most of the area of some faces [F] bool."""
    numbers, which = np.unique(np.maximum(labels[faces], 0), return_inverse=True)
    return int(numbers[np.bincount(which, mesh.areas[faces]).argmax()])


def _sharing(mesh: Mesh, truth: np.ndarray, labels: np.ndarray, number: int) -> list[int]:
    """True teeth of which a given number covers most of the surface."""
    return [tooth for tooth in teeth_of(mesh, truth) if most_of(mesh, labels, truth == tooth) == number]


def middle_of(mesh: Mesh, truth: np.ndarray, tooth: int) -> int:
    """The face in the middle of a crown, as seen from outside."""
    own = np.flatnonzero(truth == tooth)
    out = np.average(mesh.normals[own], axis=0, weights=mesh.areas[own])
    out /= max(float(np.linalg.norm(out)), 1e-9)
    off = mesh.centroids[own] - np.average(mesh.centroids[own], axis=0, weights=mesh.areas[own])
    height = off @ out
    flat = np.linalg.norm(off - np.outer(height, out), axis=1)
    near = np.flatnonzero(flat <= max(1.0, float(flat.min()) + 0.2))
    return int(own[near[height[near].argmax()]])


def border_of(surface: Surface, truth: np.ndarray, tooth: int) -> tuple[int, ...]:
    """Faces on the border of a tooth, at most ``POINTS``, spread around the tooth."""
    mesh, own = surface.mesh, truth == tooth
    pairs = neighbours(surface.mesh)
    ends = pairs[own[pairs[:, 0]] != own[pairs[:, 1]]]
    rim = np.unique(ends[own[ends]])
    if not len(rim):
        return ()
    out = np.average(mesh.normals[own], axis=0, weights=mesh.areas[own])
    out /= max(float(np.linalg.norm(out)), 1e-9)
    across = np.cross(out, np.eye(3)[np.abs(out).argmin()])
    off = mesh.centroids[rim] - mesh.centroids[own].mean(axis=0)
    angle = np.arctan2(off @ np.cross(out, across), off @ across)
    turns = np.arange(POINTS) * 2 * np.pi / POINTS
    nearest = [int(rim[np.abs(np.angle(np.exp(1j * (angle - turn)))).argmin()]) for turn in turns]
    return tuple(dict.fromkeys(nearest))


def painted(mesh: Mesh, truth: np.ndarray, labels: np.ndarray, tooth: int) -> tuple[Operation, float]:
    """One stroke of the brush over the largest wrong part of a tooth, with its seconds.

    In a wrong part the tooth is missing, or it is where it should not be. Where it should not be, the stroke gives the
    number that covers most of that part in truth.
    """
    wrong = ((truth == tooth) != (labels == tooth)) & (truth >= 0)
    piece = label_pieces(np.where(wrong, 1 + (truth == tooth), 0), mesh.adjacency)
    area = np.bincount(piece, np.where(wrong, mesh.areas, 0.0))
    part = piece == area.argmax()
    to = tooth if truth[part][0] == tooth else most_of(mesh, truth, part)
    faces = np.flatnonzero(part & (truth == to))
    seconds = SECONDS["paint"] + float(mesh.areas[faces].sum()) / (BRUSH * SPEED)
    return Operation("paint", None, to, tuple(faces.tolist())), seconds


def painting(mesh: Mesh, truth: np.ndarray) -> list[Done]:
    """The steps that label a scan from nothing with the brush alone, one stroke for each tooth."""
    return [Done("paint", SECONDS["paint"] + float(mesh.areas[truth == tooth].sum()) / (BRUSH * SPEED))
            for tooth in teeth_of(mesh, truth)]  # fmt: skip
