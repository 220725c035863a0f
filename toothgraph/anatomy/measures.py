"""Measures of a labelled arch, and of both arches of a patient, as orthodontists define them.

The file docs/measures.md has their definitions and sources, and says how exact they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from toothgraph.anatomy.dentition import CROWN_WIDTH
from toothgraph.anatomy.frame import TEETH_NEEDED, arch_rotation, turned
from toothgraph.anatomy.sizes import END, WHOLE_TOOTH, Span, area_quantiles, mesiodistal_spans
from toothgraph.anatomy.tooth_text import ToothText, tooth_text
from toothgraph.errors import LabelError
from toothgraph.fdi import (
    JAW_NAMES,
    LOWER,
    TO_PRIMARY,
    UNKNOWN_JAW,
    UPPER,
    check_fdi,
    class_to_position,
    fdi_to_class,
    is_primary,
    jaw_of_labels,
    successors_of,
)
from toothgraph.mesh.mesh import Mesh, check_mesh
from toothgraph.mesh.topology import label_pieces

QUADRANTS = {UPPER: (1, 2), LOWER: (3, 4)}  # in order along the arch, as its positions run
Pair = tuple[int, int]  # the same tooth of both quadrants
TIP = 0.02  # the tip of a cusp is the middle of this share of the crown's area, the highest
STRAY = 0.1  # share of the largest piece of a crown; a smaller piece may be of another tooth, and is not measured
# Limits of the width of a tooth, as a share of its usual width. Outside these limits, it is a part of a tooth, two
# teeth, a milk tooth, or has a wrong number: a molar that is called a premolar has 1.5 times the width.
FITS = (0.6, 1.4)

ARCH_LENGTH = tooth_text(
    "From first molar to first molar, in straight lines over the contacts of canines and incisors."
)
ARCH_DEPTH = tooth_text("From between the central incisors to the line that joins the first molars.")
INTERCANINE_WIDTH = tooth_text("Between the cusp tips of the canines.")
INTERMOLAR_WIDTH = tooth_text("Between the mesiobuccal cusp tips of the first molars.")


def _bolton(number: int, mean: str) -> ToothText:
    """What a Bolton ratio compares: the teeth of both jaws, up to this number in each quadrant."""
    below, above = (([10 * first + number], " … ", [10 * second + number]) for first, second in ((3, 4), (1, 2)))
    mean = f". Bolton's mean: {mean}."
    return tooth_text("The widths of the lower teeth ", *below, " in percent of the upper ", *above, mean)


BOLTON_OVERALL, BOLTON_ANTERIOR = _bolton(6, "91.3 ± 1.9"), _bolton(3, "77.2 ± 1.65")


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        key: its name for programs.
        name: its name for people.
        value: in ``unit``; None if it cannot be measured.
        unit: ``mm`` or ``%``.
        meaning: what is measured, in one line, with the teeth that it names; more in docs/measures.md.
        lack: why there is no value; None if there is one.
    """

    key: str
    name: str
    value: float | None
    unit: str
    meaning: ToothText
    lack: ToothText | None = None

    @property
    def definition(self) -> str:
        """What is measured, as a sentence."""
        return str(self.meaning)

    @property
    def reason(self) -> str:
        """Why there is no value, in words; empty if there is one."""
        return "" if self.lack is None else str(self.lack)


@dataclass(frozen=True)
class ArchMeasures:
    """The measures of one arch.

    Attributes:
        jaw: 0 upper, 1 lower, -1 unknown.
        widths: mesiodistal width of each permanent tooth by its FDI number, mm, see
            :func:`toothgraph.anatomy.sizes.mesiodistal_spans`.
        measures: arch length and depth, intercanine and intermolar width.
    """

    jaw: int
    widths: dict[int, float]
    measures: list[Measure]


def measure_arch(mesh: Mesh, labels: np.ndarray | None = None, milk_teeth: Collection[int] = ()) -> ArchMeasures:
    """Measure an arch.

    A measure has no value if a tooth that it needs is missing, or has a width that does not fit its number. It has none
    either if this is so for a tooth in front of the needed one, because the numbers may then be wrong from there on.

    Args:
        mesh: F faces.
        labels: [F] FDI numbers; the mesh's own if None.
        milk_teeth: numbers of permanent teeth that the labels give to milk teeth; numbers from 51 are known to be milk
            teeth without this. Milk teeth are not measured as their successors.

    Raises:
        LabelError: if there are no labels, not one per face, or they are not FDI numbers.
        ShapeError: if ``mesh`` is not a mesh or has no faces.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> found = measure_arch(synthetic_arch(1, jaw=0, faces=4000))
        >>> 5 < found.widths[11] < 12  # mm, of the upper right central incisor
        True
    """
    check_mesh(mesh)
    labels = mesh.labels if labels is None else mesh.with_labels(labels).labels
    if labels is None:
        raise LabelError(f"{mesh.scan_id}: expected a mesh with labels, got one without; give `labels`, or, if its "
                         "colours are labels, give `palette` to read_scan")  # fmt: skip
    labels = check_fdi(labels, where=mesh.scan_id)
    primary = is_primary(labels)
    if primary.any():  # they show how the arch runs, in the places of their successors
        milk_teeth = {*milk_teeth, *(np.unique(labels[primary]) - TO_PRIMARY).tolist()}
        labels = successors_of(labels)
    jaw = jaw_of_labels(labels)
    right, left = QUADRANTS.get(jaw, (0, 0))
    canines, molars, front = ((10 * right + number, 10 * left + number) for number in (3, 6, 1))
    arch = None if jaw == UNKNOWN_JAW else _Arch.of(mesh, labels, (right, left))
    widths = {} if arch is None else {fdi: span.width for fdi, span in arch.spans.items() if fdi not in milk_teeth}

    def measure(
        key: str, name: str, meaning: ToothText, needed: Iterable[int], value: Callable[[_Arch], float | ToothText]
    ) -> Measure:
        if arch is None:
            found: float | ToothText = tooth_text(f"fewer than {TEETH_NEEDED} teeth found")
        else:
            found = unusable(widths, needed) or value(arch)
        known, lack = (None, found) if isinstance(found, ToothText) else (found, None)
        return Measure(key, name, known, "mm", meaning, lack)

    return ArchMeasures(
        jaw,
        widths,
        [
            measure("arch_length", "Arch length", ARCH_LENGTH, (*molars, *canines, *front),
                    lambda arch: arch.length(molars, canines, front)),
            measure("arch_depth", "Arch depth", ARCH_DEPTH, (*molars, *front), lambda arch: arch.depth(molars, front)),
            measure("intercanine_width", "Intercanine width", INTERCANINE_WIDTH, canines,
                    lambda arch: _distance(arch.tip(canines[0]), arch.tip(canines[1]))),
            measure("intermolar_width", "Intermolar width", INTERMOLAR_WIDTH, molars,
                    lambda arch: arch.intermolar_width(molars)),
        ],
    )  # fmt: skip


def measure_pair(upper: Mapping[int, float], lower: Mapping[int, float]) -> list[Measure]:
    """Bolton's overall and anterior ratio, from the widths of the teeth of both arches of a patient.

    Source: Bolton, Am J Orthod 48 (1962), https://doi.org/10.1016/0002-9416(62)90129-X

    Args:
        upper, lower: ``widths`` of :class:`ArchMeasures`.
    """
    widths = {**upper, **lower}
    measures = []
    for key, name, meaning, count in (
        ("bolton_overall", "Bolton ratio, overall", BOLTON_OVERALL, 6),
        ("bolton_anterior", "Bolton ratio, anterior", BOLTON_ANTERIOR, 3),
    ):
        above, below = ([10 * quadrant + number for quadrant in QUADRANTS[jaw] for number in range(1, count + 1)]
                        for jaw in (UPPER, LOWER))  # fmt: skip
        lack = unusable(widths, [*above, *below])
        value = None if lack else 100 * sum(widths[fdi] for fdi in below) / sum(widths[fdi] for fdi in above)
        measures.append(Measure(key, name, value, "%", meaning, lack))
    return measures


def measures_of_file(arches: Sequence[ArchMeasures]) -> list[Measure]:
    """All measures of a file with one arch, or with an upper and a lower arch.

    For two arches, these are the measures of each arch, with the jaw in front of their keys, and then the measures of
    both arches together.
    """
    if len(arches) == 1:
        return arches[0].measures
    own = [replace(measure, key=f"{name}_{measure.key}", name=f"{measure.name}, {name} jaw")
           for arch in arches for name in [JAW_NAMES[arch.jaw]] for measure in arch.measures]  # fmt: skip
    return own + measure_pair(*(arch.widths for arch in arches))


def unusable(widths: Mapping[int, float], teeth: Iterable[int]) -> ToothText | None:
    """Why some of the teeth cannot be measured, in words; None if all can.

    Args:
        widths: mm, of the teeth that were found, by FDI number.
        teeth: FDI numbers that are needed.
    """
    if missing := sorted(fdi for fdi in teeth if fdi not in widths):
        return tooth_text("no permanent ", missing, " found")
    for fdi in teeth:
        for before in range(fdi // 10 * 10 + 1, fdi + 1):  # a wrong number shifts the numbers behind it
            share = widths.get(before, usual_width(before)) / usual_width(before)
            if not FITS[0] <= share <= FITS[1]:
                wide = f" is {widths[before]:.1f} mm wide, {usual_width(before):.1f} mm is usual: a milk tooth, a "
                return tooth_text([before], wide, "wrong border, or wrong numbers from this tooth on")
    return None


def usual_width(fdi: int) -> float:
    """The mean mesiodistal width of a tooth, mm, see :mod:`toothgraph.anatomy.dentition`."""
    return float(CROWN_WIDTH[LOWER if fdi >= 30 else UPPER, fdi % 10 - 1])


@dataclass(frozen=True, eq=False)
class _Arch:
    """The teeth of one arch, by FDI number, and the points between which they are measured.

    Attributes:
        first: the quadrant that the arch begins with, see ``QUADRANTS``.
        up, side: [3] unit directions, to the bite and from this quadrant to the other one.
        spans: the span of each tooth, see :class:`toothgraph.anatomy.sizes.Span`.
        points, areas: [N, 3] the middles of its faces, mm, and [N] their areas, mm².
    """

    first: int
    up: np.ndarray
    side: np.ndarray
    spans: dict[int, Span]
    points: dict[int, np.ndarray]
    areas: dict[int, np.ndarray]

    @classmethod
    def of(cls, mesh: Mesh, labels: np.ndarray, quadrants: tuple[int, int]) -> _Arch | None:
        """The teeth of two quadrants; None if they are too few to know the direction of the bite."""
        own = np.where(np.isin(labels // 10, quadrants), labels, 0)
        place = class_to_position(fdi_to_class(own))
        rotation = arch_rotation(mesh, place)
        if rotation is None:
            return None
        # The medians of coordinates depend a little on the pose. Computed again in this frame, they do not.
        again = arch_rotation(turned(mesh, rotation), place)
        assert again is not None
        rotation = again @ rotation
        area = np.bincount(own, mesh.areas, 100)
        row = [*(10 * quadrants[0] + number for number in range(8, 0, -1)),
               *(10 * quadrants[1] + number for number in range(1, 9))]  # fmt: skip
        own = _without_stray(own, mesh)
        faces = {fdi: np.flatnonzero(own == fdi) for fdi in row if area[fdi] >= WHOLE_TOOTH}
        spans = mesiodistal_spans(mesh, list(faces.values()), rotation[1])
        return cls(
            quadrants[0], rotation[1], rotation[2],
            {fdi: span for fdi, span in zip(faces, spans, strict=True) if span is not None},
            {fdi: mesh.centroids[at] for fdi, at in faces.items()},
            {fdi: np.maximum(mesh.areas[at], 1e-12) for fdi, at in faces.items()},
        )  # fmt: skip

    def length(self, molars: Pair, canines: Pair, front: Pair) -> float:
        corners = [self.mesial(molars[0]), self.mesial(canines[0]), self.middle(front),
                   self.mesial(canines[1]), self.mesial(molars[1])]  # fmt: skip
        return sum(_distance(*ends) for ends in pairwise(corners))

    def depth(self, molars: Pair, front: Pair) -> float:
        ends = [self.mesial(fdi) for fdi in molars]
        across, ahead = _unit(ends[1] - ends[0]), self.middle(front) - ends[0]
        return float(np.linalg.norm(ahead - (ahead @ across) * across))

    def intermolar_width(self, molars: Pair) -> float | ToothText:
        """The distance between the mesiobuccal tips of two molars, or why there is none.

        There is none if no face in the mesiobuccal part of a molar has its number.
        """
        parts = {fdi: self.mesiobuccal_part(fdi) for fdi in molars}
        if cut := [fdi for fdi, part in parts.items() if not part.any()]:
            return tooth_text("the mesiobuccal part of ", cut, " is not labelled")
        return _distance(*(self.tip(fdi, part) for fdi, part in parts.items()))

    def mesial(self, fdi: int) -> np.ndarray:
        """The mesial contact point of a tooth, in the occlusal plane. [3]"""
        return self._flat(self.spans[fdi].ends[1 if fdi // 10 == self.first else 0])

    def middle(self, front: Pair) -> np.ndarray:
        """The point between two central incisors, in the occlusal plane. [3]"""
        return (self.mesial(front[0]) + self.mesial(front[1])) / 2

    def tip(self, fdi: int, part: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The tip of a crown, or of ``part`` of its faces: the middle of the highest ``TIP`` of its area. [3]"""
        points, area = self.points[fdi][part], self.areas[fdi][part]
        height = points @ self.up
        top = height >= area_quantiles(height, area, [1 - TIP * self.areas[fdi].sum() / area.sum()])[0]
        return np.average(points[top], axis=0, weights=area[top])

    def mesiobuccal_part(self, fdi: int) -> np.ndarray:
        """Which faces of a molar are in its mesial and buccal quarter. [N] bool"""
        inwards = 1 if fdi // 10 == self.first else -1  # along the arch or across it, from the tooth to the middle line
        mesial = _unit(self._flat(inwards * np.subtract(*self.spans[fdi].ends[::-1])))
        buccal = np.cross(mesial, self.up)
        buccal = -inwards * np.sign(buccal @ self.side) * buccal
        quarter = np.ones(len(self.points[fdi]), dtype=bool)
        for axis in (mesial, buccal):
            position = self.points[fdi] @ axis
            quarter &= position >= area_quantiles(position, self.areas[fdi], [END, 1 - END]).mean()
        return quarter

    def _flat(self, vector: np.ndarray) -> np.ndarray:
        """A vector [3] without its part towards the bite."""
        return vector - (vector @ self.up) * self.up


def _without_stray(labels: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Labels [F], set to 0 on pieces that are small compared with the largest piece of their tooth."""
    piece = label_pieces(labels, mesh.adjacency)
    area = np.bincount(piece, mesh.areas)
    largest = np.zeros(100)
    np.maximum.at(largest, labels, area[piece])
    return np.where(area[piece] < STRAY * largest[labels], 0, labels)


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(second - first))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
