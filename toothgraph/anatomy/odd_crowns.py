"""Teeth of a labelled arch without the usual shape of a crown: posts, stumps, parts, two in one, teeth with brackets.

They are found by the shape of the surface alone. The limits lie between ordinary scans and scans that a program changed
for this purpose (benchmarks/studies/odd_mouths.py). They were chosen on some patients and tested on others
(benchmarks/studies/doubts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toothgraph.anatomy.dentition import CROWN_DEPTH, CROWN_WIDTH
from toothgraph.anatomy.frame import ALONG, arch_rotation
from toothgraph.anatomy.molars import molars_as_premolars
from toothgraph.anatomy.sizes import arch_directions, tooth_sizes, usual_areas
from toothgraph.fdi import LOWER, UPPER, class_to_position, fdi_to_class, in_chart_order, jaw_of_labels
from toothgraph.mesh.mesh import Mesh

LEAST_FACES = 12  # minimum number of faces of a tooth that is checked
# Walls of a post: the share of the area of a crown that stands upright, within 14°. Crowns have up to 0.61.
UPRIGHT, POST = 0.25, 0.74
# A stump is small. It is narrow with a level top (within 18°), or very narrow. The limits are shares of the usual area
# and depth, and of its own area. Crowns have a depth of 0.79 and more, except parts of crowns.
LEVEL, STUMP_AREA, STUMP_DEPTH, STUMP_TOP, NARROW = 0.95, 0.75, 0.83, 0.1, 0.7
PART = 0.35  # share of the usual area; the last tooth on a side may show less, because the scan ends there
STUB = 0.4  # share of the usual area that the last tooth on a side must show to be a stump
DOUBLE_WIDTH, DOUBLE_AREA = 1.5, 1.15  # two teeth in one have more than these shares of the usual width and area
WIDE, DEEP = 1.28, 1.05  # a milk molar has more than these shares of the width and depth of a second premolar
# A bracket stands out from the outer face of a crown. The limits are mm from a smooth surface through that face, mm² on
# one tooth, and the number of teeth that have this. Ordinary scans have it on up to 1 tooth.
STANDS_OUT, BUMP, BRACKETS = 0.6, 1.5, 3
OUTWARDS = 0.3  # cosine; slopes of cusps look less outwards than this, and would bend the smooth surface inwards


@dataclass(frozen=True)
class OddCrowns:
    """FDI numbers of teeth without the usual shape of a crown, in the order of a dental chart.

    Attributes:
        posts: smooth upright posts, such as scan bodies of implants.
        stumps: low and narrow teeth with a level top, such as teeth that were prepared for crowns.
        parts: pairs of a number and the share of its usual area that the tooth shows: erupting, broken, or no tooth.
        doubles: pairs of a number and its width as a multiple of the usual width: two teeth with one number.
        milk: second premolars that are as wide as the milk molars in their place, and are not permanent molars.
        bracketed: teeth with something on the outer face, if there are three or more.
    """

    posts: tuple[int, ...] = ()
    stumps: tuple[int, ...] = ()
    parts: tuple[tuple[int, float], ...] = ()
    doubles: tuple[tuple[int, float], ...] = ()
    milk: tuple[int, ...] = ()
    bracketed: tuple[int, ...] = ()


NONE = OddCrowns()


def odd_crowns(mesh: Mesh, labels: np.ndarray, milk_teeth: Sequence[int] = ()) -> OddCrowns:
    """The teeth of an arch without the usual shape of a crown.

    Args:
        mesh: F faces.
        labels: [F] FDI numbers of one jaw.
        milk_teeth: numbers that the labels give to milk teeth. Milk teeth are smaller than usual, so only posts and
            brackets are looked for.
    """
    place = class_to_position(fdi_to_class(labels))
    rotation = arch_rotation(mesh, place)
    if rotation is None:
        return NONE
    jaw, up = LOWER if jaw_of_labels(labels) == LOWER else UPPER, rotation[1]
    row = [number for number in ALONG.tolist() if np.count_nonzero(place == number) >= LEAST_FACES]
    if not row:
        return NONE
    faces = [np.flatnonzero(place == number) for number in row]
    numbers = [int(labels[own[0]]) for own in faces]
    area = np.array([mesh.areas[own].sum() for own in faces])
    of_area = area / usual_areas(np.array(row), area, jaw)
    kind = [fdi % 10 - 1 for fdi in numbers]
    size = tooth_sizes(mesh, faces, up) / np.stack([CROWN_WIDTH[jaw, kind], CROWN_DEPTH[jaw, kind]], axis=1)
    ends = {0, len(row) - 1}
    height = [mesh.normals[own] @ up for own in faces]
    walls, tops = (
        np.array([mesh.areas[own[which]].sum() for own, which in zip(faces, chosen, strict=True)]) / area
        for chosen in ([np.abs(z) < UPRIGHT for z in height], [z > LEVEL for z in height])
    )
    posts, stumps, parts, doubles, milk = [], [], [], [], []
    molars = None
    for fdi in in_chart_order(numbers):
        at = numbers.index(fdi)
        width, depth = size[at]
        if walls[at] > POST:
            posts.append(fdi)
        elif fdi in milk_teeth:
            continue
        elif fdi % 10 < 8 and (STUB if at in ends else PART) < of_area[at] < STUMP_AREA and (
            (depth < NARROW and fdi % 10 > 3) or (depth < STUMP_DEPTH and tops[at] > STUMP_TOP)
        ):  # fmt: skip
            stumps.append(fdi)
        elif of_area[at] < PART and at not in ends:
            parts.append((fdi, float(of_area[at])))
        elif width > DOUBLE_WIDTH and of_area[at] > DOUBLE_AREA:
            doubles.append((fdi, float(width)))
        elif fdi % 10 == 5 and width > WIDE and depth > DEEP:
            molars = molars_as_premolars(mesh, place) if molars is None else molars
            milk += [fdi] * (row[at] not in molars)
    stands = zip(numbers, _bumps(mesh, faces, up), strict=True)
    bumps = in_chart_order(fdi for fdi, area_out in stands if area_out > BUMP and fdi % 10 <= 5)
    return OddCrowns(
        tuple(posts), tuple(stumps), tuple(parts), tuple(doubles), tuple(milk),
        tuple(bumps) if len(bumps) >= BRACKETS else (),
    )  # fmt: skip


def _bumps(mesh: Mesh, faces: Sequence[np.ndarray], up: np.ndarray) -> list[float]:
    """The area of each crown that stands out from its outer face, mm²."""
    middle = mesh.centroids[np.concatenate(faces)].mean(axis=0)
    return [
        0.0 if along is None else _bump(mesh, own, along, up, middle)
        for own, along in zip(faces, arch_directions(mesh, faces, up), strict=True)
    ]


def _bump(mesh: Mesh, own: np.ndarray, along: np.ndarray, up: np.ndarray, middle: np.ndarray) -> float:
    """The area of one crown that stands out from its outer face, mm².

    It stands out from a quadratic surface that is fitted to most of this face.
    """
    outwards = np.cross(along, up)
    points = mesh.centroids[own]
    outwards = outwards * np.sign(outwards @ (points.mean(axis=0) - middle))
    out, across, height = points @ outwards, points @ along, points @ up
    low, high = np.quantile(height, [0.02, 0.98])
    height = (height - low) / max(high - low, 1e-6)
    across = across - np.quantile(across, [0.02, 0.98]).mean()
    face = (out > np.quantile(out, 0.45)) & (height > 0.1) & (height < 0.9) & (mesh.normals[own] @ outwards > OUTWARDS)
    if face.sum() < LEAST_FACES:
        return 0.0
    x, z, y, weight = across[face], height[face], out[face], np.sqrt(mesh.areas[own[face]])
    terms = np.stack([np.ones(len(x)), x, z, x * x, x * z, z * z], axis=1)
    kept, off = np.ones(len(x), dtype=bool), y
    for _ in range(6):
        fit = np.linalg.lstsq(terms[kept] * weight[kept, None], y[kept] * weight[kept], rcond=None)[0]
        off = y - terms @ fit
        near = np.abs(off) < max(0.35, 1.2 * float(np.median(np.abs(off))))
        if near.sum() < LEAST_FACES or (near == kept).all():
            break
        kept = near
    inner = np.abs(x) < 0.375 * np.ptp(x)
    return float(mesh.areas[own[face]][(off > STANDS_OUT) & inner].sum())
