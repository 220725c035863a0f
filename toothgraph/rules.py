"""All tuned constants of prediction: value, unit, meaning and source.

These are not options for users. After a change, compute the scores of all data sets again
(``python -m benchmarks.studies.prediction_steps``). ``toothgraph evaluate`` writes the values that it used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

BY_HAND = "set by hand on scans of 3D-IOSSeg, while prediction was developed"
TOOTH_CUTS = "labels of the training patients of 3D-IOSSeg, benchmarks/studies/tooth_cuts.py"
MODELS = "set by hand on models and shells made from scans of 3D-IOSSeg, benchmarks/studies/shapes.py"
PARTS = "quadrants, back teeth and front teeth cut out of the validation scans of 3D-IOSSeg"
LARGE = "time and agreement with one level on full-resolution-lower of the odd scans, also subdivided"
MILK = "the milk teeth of 072 against all other patients of 3D-IOSSeg, by nets that did not see them"


def rule(value: Any, unit: str, meaning: str, source: str = BY_HAND) -> Any:
    """A dataclass field with ``unit``, ``meaning`` and ``source`` as metadata."""
    return field(default=value, metadata={"unit": unit, "meaning": meaning, "source": source})


@dataclass(frozen=True)
class PoseRules:
    """Orientation of a scan, see :mod:`toothgraph.inference.pose`. Angles are measured between a frame and the frame
    that fits the teeth found in it; they are near 180° if the scan is seen from behind."""

    settled: float = rule(8.0, "degrees", "a frame with a smaller error is not corrected")
    agreed: float = rule(20.0, "degrees", "a frame with a smaller error is accepted as right")
    row: int = rule(7, "count", "a frame with fewer tooth positions is compared with all others", PARTS)
    followed: float = rule(60.0, "degrees", "a larger correction is ignored")
    corrections: int = rule(3, "count", "maximum number of corrections of one frame")
    upright: float = rule(
        0.3, "cosine", "minimum cosine between y and the opening direction of the surface, for a frame to be tried"
    )
    turns: int = rule(
        8, "count", "frames about each possible direction of the bite", "one of them is within 23° of the right frame"
    )


@dataclass(frozen=True)
class SideRules:
    """The side of a closed surface that is looked at, see :mod:`toothgraph.inference.sides`."""

    spacing: float = rule(0.3, "mm", "distance of the points that a surface is drawn with", MODELS)
    cell: float = rule(0.5, "mm", "side of a pixel of the depth image", MODELS)
    below: float = rule(
        0.2, "mm", "a point is seen up to this depth below the highest point of its pixel; slopes may be deeper", MODELS
    )
    facing: float = rule(0.3, "cosine", "minimum cosine between a normal and the direction of the eye", MODELS)
    tilt: float = rule(45.0, "degrees", "maximum angle between the bite and a direction of the eye", MODELS)
    patch: float = rule(20.0, "mm²", "a smaller patch, seen or unseen, takes the state of the faces around it", MODELS)
    sharp: float = rule(45.0, "degrees", "bend of an edge at which a rim begins", MODELS)
    rim: float = rule(2.5, "mm", "maximum width of a rim between such an edge and unseen faces", MODELS)
    large: float = rule(
        0.15, "share", "minimum share of the whole area, for a surface within sharp edges to be a side", MODELS
    )
    inside: float = rule(0.3, "share", "if a smaller share of a side is seen, none of the side counts as seen", MODELS)
    outside: float = rule(0.85, "share", "if a larger share of a side is seen, all of it counts as seen", MODELS)
    overhang: float = rule(
        0.5, "cosine", "cosine between down and a normal; above it, a face is a bottom, not an overhang", MODELS
    )
    level: float = rule(
        3.0, "degrees", "maximum angle between the normal of a face and the mean normal of a flat bottom", MODELS
    )
    flat: float = rule(0.5, "mm", "maximum distance of a bottom from the lowest point", MODELS)
    bottom: float = rule(0.02, "share", "minimum share of the area of the surface, for a flat bottom", MODELS)
    thin: float = rule(
        0.7,
        "share",
        "maximum ratio of the two smallest extents of a whole arch, whose bite is along the smallest",
        MODELS,
    )
    planes: int = rule(4, "count", "number of directions in which a flat bottom is searched", MODELS)


@dataclass(frozen=True)
class RegionRules:
    """The part of a scan around the teeth, see :mod:`toothgraph.inference.tooth_region`."""

    margin: float = rule(10.0, "mm", "width of the surface that is kept around the teeth", "similar to training scans")
    island: float = rule(10.0, "mm²", "a smaller component of tooth faces is not a tooth")
    worth: float = rule(0.9, "share", "nothing is cut off if a larger share of the area would be kept")


@dataclass(frozen=True)
class InterpolationRules:
    """Interpolation from coarse to fine faces, see :mod:`toothgraph.mesh.interpolate`."""

    neighbors: int = rule(4, "count", "coarse faces that are averaged for a fine face")
    normal_length: float = rule(
        1.0, "mm", "distance equivalent to a 60° turn of the normal; separates the walls of a narrow gap"
    )


@dataclass(frozen=True)
class BorderRules:
    """Label boundaries that move into the folds of the surface, see :mod:`toothgraph.postprocess.borders`."""

    strength: float = rule(2.0, "mm²", "area on which a factor e in probability costs as much as 1 mm of boundary")
    crease: float = rule(0.5, "radians", "concave bend that makes a boundary cheaper by a factor e")
    band: float = rule(2.0, "mm", "only faces within this distance of a boundary may change")
    plausible: float = rule(1e-3, "probability", "minimum probability of a class that a face may take")
    least: float = rule(1e-4, "probability", "lower limit of all probabilities")
    cycles: int = rule(2, "count", "passes over all classes")
    large: int = rule(
        300_000, "faces", "in a scan with more faces, borders are first placed on a coarser surface", LARGE
    )
    coarse: int = rule(100_000, "faces", "number of faces of the coarser surface", LARGE)
    narrow: float = rule(0.4, "mm", "after that, only faces within this distance of such a border may change", LARGE)


@dataclass(frozen=True)
class PieceRules:
    """Which faces form one tooth, see :mod:`toothgraph.postprocess.pieces`.

    Areas are relative to the expected area of the tooth (from its number and the other teeth of the scan). The width
    of a boundary is its length, reduced in folds, divided by the square root of the smaller area beside it.
    """

    large: float = rule(1.2, "share", "a smaller piece is not cut; 95 of 100 teeth are smaller", TOOTH_CUTS)
    bulky: float = rule(1.4, "share", "a larger piece is cut more easily; 99 of 100 teeth are smaller", TOOTH_CUTS)
    half: float = rule(0.2, "share", "minimum share of the area on each side of a cut")
    narrow: float = rule(
        0.2, "width", "a cut up to this width separates two teeth; true for 96 of 100 neighbours", TOOTH_CUTS
    )
    solid: float = rule(0.3, "width", "a bulky piece is cut up to this width; the best cut of one tooth", TOOTH_CUTS)
    wide: float = rule(0.45, "width", "a wider boundary is not in a fold: both sides may be one tooth")
    doubt: float = rule(
        1.5, "nats", "maximum cost of one number for two pieces",
        "24 scans that five nets had not seen: 22 pairs of one tooth cost 0.1 to 1.2, 7 pairs of two incisors 1.8 to 6",
    )  # fmt: skip
    part: float = rule(0.8, "share", "a smaller piece is not a whole tooth")
    gap: float = rule(2.0, "mm", "maximum distance between the parts of one tooth")
    face: float = rule(
        0.2, "mm²", "area of the faces on which pieces are cut; on finer faces, a fold is spread over many edges"
    )


@dataclass(frozen=True)
class NumberRules:
    """One number per tooth, see :mod:`toothgraph.postprocess.assign_numbers`."""

    speck: float = rule(
        6.0, "mm²", "a smaller piece takes the label around it, or gingiva if it is not connected to anything",
        "of 214 such unconnected pieces in 3D-IOSSeg, one is labelled as a tooth",
    )  # fmt: skip
    least: float = rule(1e-3, "probability", "lower limit of the probability of each number of a tooth")


@dataclass(frozen=True)
class LoneCrownRules:
    """Pieces of surface that are one crown each, see :mod:`toothgraph.postprocess.lone_crowns`."""

    least: float = rule(40.0, "mm²", "minimum area of a crown", "half of the least tooth, docs/results/labels.md")
    most: float = rule(450.0, "mm²", "maximum area of a crown with a bottom", MODELS)
    length: float = rule(16.0, "mm", "maximum extent of a crown along an axis", MODELS)
    tooth: float = rule(0.5, "probability", "minimum mean probability over a piece that it is a tooth", MODELS)
    speck: float = rule(6.0, "mm²", "a smaller piece belongs to the crown beside it", MODELS)
    near: float = rule(1.0, "mm", "maximum distance of a speck from its crown", MODELS)
    without_gum: float = rule(
        0.9, "share", "if a larger share of the surface is in crowns, the surface has no gum", MODELS
    )
    set: int = rule(4, "count", "if the net is sure of so many crowns, all pieces of that size are crowns", MODELS)


@dataclass(frozen=True)
class RowRules:
    """The numbers of a row of teeth, see :mod:`toothgraph.postprocess.read_row`. Costs are in nats."""

    trust: float = rule(1.0, "share", "weight of what a piece looks like")
    open_gap: float = rule(0.3, "nats/mm", "cost of a gap that does not fit the teeth missing in it")
    loose: float = rule(2.0, "mm", "gap between two neighbours that costs nothing")
    slack: float = rule(1.5, "mm", "error of the width of a gap with missing teeth that costs nothing")
    shrink: float = rule(0.8, "share", "share of the width of missing teeth that their gap keeps")
    closed_gap: float = rule(2.0, "nats", "cost of a gap that has closed, in addition to the cost of the missing teeth")
    wider: float = rule(0.6, "nats/mm", "cost of a gap that is wider than the teeth missing in it, from `beyond` on")
    beyond: float = rule(4.0, "mm", "how much wider than these teeth a gap may be")
    stretch: float = rule(12.0, "nats", "greatest cost of the teeth missing in a wide gap: they were lost together")
    mouth: float = rule(40.0, "mm", "width of a mouth: a gap that is longer along the arch is seen straight across")
    nearly: float = rule(0.7, "share", "a row may begin behind a gap of this share of the widest one")
    end: float = rule(0.6, "share", "share of the cost of a missing tooth, for a tooth beyond an end of the row")
    part: float = rule(
        8.0, "nats", "greatest cost of all teeth beyond one end, since the scan may show only a part of the arch"
    )
    same_tooth: float = rule(2.0, "nats", "cost of one number for two pieces that touch each other")
    crowded: float = rule(14.0, "degrees", "two teeth with a smaller angle between them may be in either order")
    exchange: float = rule(4.0, "nats", "cost of the order that differs from the order of their angles")
    short: int = rule(7, "count", "a row of fewer teeth is read from both ends", PARTS)
    straight: float = rule(60.0, "degrees", "a row that bends less is read from both ends, too", PARTS)
    no_tooth: float = rule(4.0, "nats", "cost of calling a piece gingiva, in addition to what the net says")
    mixed: float = rule(4.5, "nats", "cost of a mouth with milk teeth", MILK)
    milk: float = rule(1.0, "nats", "cost of each milk tooth in such a mouth", MILK)
    milk_size: float = rule(0.08, "share", "standard deviation of the size of a tooth", MILK)
    late: float = rule(2.0, "nats", "cost of a second or third molar in a mouth with milk teeth", MILK)


@dataclass(frozen=True)
class TwoArchRules:
    """Two arches in one file, see :mod:`toothgraph.postprocess.two_arches`."""

    visible: float = rule(20.0, "mm²", "minimum predicted area of a tooth on a surface, to count it as visible there")
    arch: float = rule(400.0, "mm²", "a smaller surface is not a jaw; one side of a jaw has about 700")
    share: float = rule(0.25, "share", "minimum share of the area of the largest surface, for a jaw")
    apart: float = rule(
        3.0, "mm", "minimum median distance of two jaws; the walls of a shell are nearer to each other, jaws in their "
        "bite are 5.9 to 10 apart",
    )  # fmt: skip
    one_way: float = rule(
        0.2, "share", "maximum length of the mean normal of a bite; bites have 0.11 to 0.15, one jaw 0.27 or more"
    )  # fmt: skip
    facing: float = rule(
        0.08,
        "share",
        "minimum part of the mean normal of each half of a bite that points to the other half; bites have 0.11 or more",
    )
    border: float = rule(
        100.0,
        "mm",
        "minimum length of the borders of a bite; a closed surface has none, the border of one jaw is about 150",
    )
    cut: float = rule(60.0, "mm", "maximum length of the line along which joined jaws are separated")
    sure: float = rule(
        0.8, "probability", "minimum probability of a jaw, for it to be certain; jaws seen alone have 0.98 or more"
    )


@dataclass(frozen=True)
class ReviewRules:
    """Limits for warnings to review, see :mod:`toothgraph.report.doubts`."""

    scan: float = rule(0.7, "probability", "mean confidence over the area of all teeth; below, the scan is reported")
    tooth: float = rule(0.5, "probability", "confidence of one tooth; below, the tooth is reported")
    jaw: float = rule(
        0.35, "probability", "probability of the given jaw; below, the scan is reported as one of the other jaw",
        "by the weights in the package, 40 of 41 scans are above 0.65; by five short trainings, 3 of 114 are below",
    )  # fmt: skip
    odds: float = rule(
        15.0, "times", "how much likelier the numbers must be than the next best reading; below, both are reported",
        "five folds over the patients of 3D-IOSSeg, benchmarks/studies/cross_validation.py",
    )  # fmt: skip
    closed: float = rule(
        0.95, "probability", "a closed surface is reported as closed if the probability of its jaw, or the mean "
        "confidence over the area of all teeth, is below this", MODELS,
    )  # fmt: skip
    teeth: int = rule(12, "count", "a closed surface with fewer teeth is reported as closed", MODELS)


@dataclass(frozen=True)
class Rules:
    """All rules. Published scores use the default values."""

    base_share: int = rule(
        4,
        "count",
        "number of faces of the surface on which labels are averaged, as a multiple of the number of the net",
    )
    pose: PoseRules = field(default_factory=PoseRules)
    sides: SideRules = field(default_factory=SideRules)
    region: RegionRules = field(default_factory=RegionRules)
    interpolation: InterpolationRules = field(default_factory=InterpolationRules)
    borders: BorderRules = field(default_factory=BorderRules)
    pieces: PieceRules = field(default_factory=PieceRules)
    numbers: NumberRules = field(default_factory=NumberRules)
    lone_crowns: LoneCrownRules = field(default_factory=LoneCrownRules)
    row: RowRules = field(default_factory=RowRules)
    two_arches: TwoArchRules = field(default_factory=TwoArchRules)
    review: ReviewRules = field(default_factory=ReviewRules)


DEFAULT = Rules()
