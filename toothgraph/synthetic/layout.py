"""Layout of one arch: the arch curve, and crown, position and axes of each tooth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

from toothgraph.errors import check_number
from toothgraph.fdi import LOWER, UPPER
from toothgraph.synthetic.crowns import CROWNS, Crown

# Half an arch at the level where neighbours touch: (forward, sideways) in mm, midline first. The last points
# are behind the last molar, for the gum there.
_HALF_ARCH = {
    UPPER: ((25.4, 0.0), (24.7, 5.0), (21.9, 11.4), (17.3, 16.9), (10.4, 19.7), (3.0, 22.1), (-5.0, 24.3),
            (-14.0, 26.8), (-23.0, 28.4), (-36.0, 29.8)),
    LOWER: ((23.4, 0.0), (22.9, 3.0), (21.3, 8.3), (18.6, 13.4), (12.8, 17.5), (6.0, 20.3), (-3.0, 22.8),
            (-13.0, 25.2), (-22.0, 27.5), (-36.0, 30.8)),
}  # fmt: skip


# Upper limits: of probabilities, and of size, since a larger size could draw crowns without width.
_MOST = {"missing": 1.0, "wisdom": 1.0, "holes": 1.0, "size": 0.25}
CONTACT = 0.6  # height of the contacts between neighbours, as a share of the crown height


@dataclass(frozen=True)
class Variation:
    """Differences between arches. Probabilities per tooth or arch, lengths in mm, angles in degrees.

    ``Variation.none()`` gives the mean arch: 14 teeth, no noise, a smooth boundary, no holes.

    Attributes:
        missing: probability that a tooth is missing; twice as high for second premolars and second molars.
        wisdom: probability of each third molar.
        size: relative differences in the size of the arch, its teeth and their cusps.
        crowding: scale of crowding, gaps and displaced teeth.
        rotation: standard deviation of the rotation of teeth about their axes; inclinations vary 0.6 times as much.
        wear: scale of the height that cusps and edges have lost.
        noise: scale of the noise on the surface.
        ragged: scale of the irregularity of the scan boundary.
        holes: probability that the surface has holes.

    Raises:
        ConfigError: for a value below 0, a probability above 1 or a ``size`` above 0.25.
    """

    missing: float = 0.03
    wisdom: float = 0.18
    size: float = 0.05
    crowding: float = 0.5
    rotation: float = 5.0
    wear: float = 0.5
    noise: float = 0.02
    ragged: float = 1.0
    holes: float = 0.25

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_number(f"{name} of a variation", value, least=0, most=_MOST.get(name))

    @classmethod
    def none(cls) -> Variation:
        """No variation at all."""
        return cls(missing=0, wisdom=0, size=0, crowding=0, rotation=0, wear=0, noise=0, ragged=0, holes=0)


@dataclass(frozen=True)
class Tooth:
    """A crown at its position.

    Attributes:
        fdi: FDI number.
        crown: its size and shape.
        origin: [3], centre of the gingival margin, mm.
        axes: [3, 3], rows are the unit distal, buccal and axial directions.
        along: signed arc length of its position on the arch curve, mm.
        papillae: height of the gum in the mesial and in the distal gap, mm above the margin.
    """

    fdi: int
    crown: Crown
    origin: np.ndarray
    axes: np.ndarray
    along: float
    papillae: tuple[float, float]


class ArchCurve:
    """The curve through the teeth in the (x forward, z sideways) plane, by arc length from the midline, mm.

    Attributes:
        points: [1201, 2], from the end at negative z to the end at positive z.
        along: [1201] arc length at ``points``, 0 at the midline.
        outward: [1201, 2] unit normals, away from the tongue.
    """

    def __init__(self, jaw: int, length: float = 1.0, width: float = 1.0, skew: float = 0.0) -> None:
        half = np.array(_HALF_ARCH[jaw]) * (length, width)
        knots = np.concatenate([half[:0:-1] * (1, -1), half])
        knots[:, 1] += skew * (half[0, 0] - knots[:, 0]) / 50.0
        chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
        spline = CubicSpline(chord, knots)
        samples = np.linspace(0, chord[-1], 1201)
        self.points = spline(samples)
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        along = np.concatenate([[0], np.cumsum(steps)])
        self.along = along - np.interp(chord[len(half) - 1], samples, along)
        tangent = spline(samples, 1)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        self.outward = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)

    def at(self, along: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and outward normal at an arc length. [2] and [2]."""
        place = [np.interp(along, self.along, self.points[:, axis]) for axis in (0, 1)]
        normal = np.array([np.interp(along, self.along, self.outward[:, axis]) for axis in (0, 1)])
        return np.array(place), normal / np.linalg.norm(normal)


def lay_out(
    rng: np.random.Generator, jaw: int, variation: Variation, without: Collection[int]
) -> tuple[ArchCurve, list[Tooth]]:
    """Draw an arch: its curve, and its teeth with position and axes, in order along the curve."""
    size, crowding = variation.size, variation.crowding
    scale = 1.0 + size * rng.normal()
    length, width = scale * (1.0 + 0.7 * size * rng.normal(size=2))
    curve = ArchCurve(jaw, length, width, skew=20.0 * size * rng.normal())
    # Below 1, neighbours overlap (crowding); above 1, there are gaps.
    spacing = 1.0 + np.clip(0.03 * crowding * rng.normal(), -0.03, 0.06)
    wear = variation.wear * rng.uniform(0.0, 1.5)
    teeth: list[Tooth] = []
    for side in (-1, 1):
        quadrant = {UPPER: (1, 2), LOWER: (3, 4)}[jaw][(side + 1) // 2]
        teeth += _quadrant(rng, curve, 10 * quadrant, side, variation, without, (scale, spacing, wear))
    return curve, sorted(teeth, key=lambda tooth: tooth.along)


def _quadrant(
    rng: np.random.Generator,
    curve: ArchCurve,
    tens: int,
    side: int,
    variation: Variation,
    without: Collection[int],
    habits: tuple[float, float, float],
) -> list[Tooth]:
    """The teeth of one quadrant, from the midline backwards."""
    scale, spacing, wear = habits
    jaw = LOWER if tens >= 30 else UPPER
    present: list[tuple[int, Crown, float]] = []
    poses: list[np.ndarray] = []
    along = 0.0
    for number, mean in CROWNS[jaw].items():
        # All random values are drawn for every tooth, so that a missing tooth does not change the others.
        factors = scale * (1.0 + 0.6 * variation.size * rng.normal(size=3))
        lost, closed, worn = rng.uniform(size=3)
        pose = rng.normal(size=5)
        moved = variation.size * rng.normal(size=(len(mean.cusps), 3)) * (1.2, 1.2, 4.0)
        crown = replace(
            mean,
            width=mean.width * factors[0],
            depth=mean.depth * factors[1],
            height=mean.height * factors[2],
            cusps=tuple(
                (a + da, b + db, below + abs(low))
                for (a, b, below), (da, db, low) in zip(mean.cusps, moved, strict=True)
            ),
            wear=wear * worn,
        )
        absent = 1.0 - variation.wisdom if number == 8 else variation.missing * (2.0 if number in (5, 7) else 1.0)
        room = crown.width * spacing
        if lost < absent or tens + number in without:
            along += room * (1.0 - 0.7 * closed if variation.missing > 0 else 1.0)
            continue
        present.append((tens + number, crown, along + room / 2))
        poses.append(pose)
        along += room
    return [_stand(pose, curve, side, variation, present, index) for index, pose in enumerate(poses)]


def _stand(
    pose: np.ndarray,
    curve: ArchCurve,
    side: int,
    variation: Variation,
    present: list[tuple[int, Crown, float]],
    index: int,
) -> Tooth:
    """Put one crown on the curve, shifted, rotated and inclined by ``pose``, five standard normal numbers."""
    fdi, crown, along = present[index]
    (forward, sideways), (out_forward, out_sideways) = curve.at(side * along)
    shift, lift = variation.crowding * pose[:2] * (0.6, 0.3)
    turn, tip, lean = np.radians(variation.rotation * pose[2:] * (1.0, 0.6, 0.6))
    buccal = outward = np.array([out_forward, 0.0, out_sideways])
    distal = side * np.array([-out_sideways, 0.0, out_forward])
    upward = np.array([0.0, 1.0, 0.0])
    # Rotate about the axis, then incline the axis buccally (torque) and distally (tip).
    distal, buccal = (
        np.cos(turn) * distal + np.sin(turn) * buccal,
        np.cos(turn) * buccal - np.sin(turn) * distal,
    )
    torque = np.radians(crown.torque) + lean
    upward, buccal = (
        np.cos(torque) * upward + np.sin(torque) * buccal,
        np.cos(torque) * buccal - np.sin(torque) * upward,
    )
    upward, distal = np.cos(tip) * upward + np.sin(tip) * distal, np.cos(tip) * distal - np.sin(tip) * upward
    origin = np.array([forward, crown.tip + lift - crown.height * np.cos(torque), sideways])
    origin += (shift - CONTACT * crown.height * np.sin(torque)) * outward
    return Tooth(fdi, crown, origin, np.stack([distal, buccal, upward]), side * along, _papillae(present, index))


def _papillae(present: list[tuple[int, Crown, float]], index: int) -> tuple[float, float]:
    """Gum heights (mesial, distal), mm: high between neighbours, low beside a gap or behind the last tooth."""
    _, crown, along = present[index]
    full = 0.42 * crown.height
    heights = []
    for other in (index - 1, index + 1):
        if other < 0:  # the neighbour across the midline
            apart = 2.0 * along - crown.width
        elif other < len(present):
            apart = abs(present[other][2] - along) - 0.5 * (present[other][1].width + crown.width)
        else:
            apart = np.inf
        heights.append(full if apart < 1.0 else 0.25 * full)
    return heights[0], heights[1]
