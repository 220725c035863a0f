"""Colours of teeth that stand beside or opposite each other can be told apart, whatever colours a person sees."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from toothgraph.anatomy.colours import COLOUR_OF_FDI, colours

# What is seen of linear RGB without one kind of cone. Source: Machado, Oliveira, Fernandes 2009, severity 1,
# https://doi.org/10.1109/TVCG.2009.113
SEEN = {
    "all colours": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ_OF_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
ARCHES = [[10 * right + t for t in range(8, 0, -1)] + [10 * left + t for t in range(1, 9)]
          for right, left in ((1, 2), (4, 3))]  # fmt: skip
PAIRS = {
    "neighbours": [pair for arch in ARCHES for pair in pairwise(arch)],
    "across a gap": [pair for arch in ARCHES for pair in zip(arch, arch[2:], strict=False)],
    "left and right": [(10 * q + t, 10 * p + t) for q, p in ((1, 2), (4, 3)) for t in range(1, 9)],
    "upper and lower": [*zip(*ARCHES, strict=True), *zip(ARCHES[0][1:8], ARCHES[1][:7], strict=True),
                        *zip(ARCHES[0][8:15], ARCHES[1][9:], strict=True)],
    "tooth and gingiva": [(0, tooth) for arch in ARCHES for tooth in arch],
}  # fmt: skip
LEAST = {  # in CIELAB; a difference of about 2 is just seen, with the colours side by side
    "all colours": {"neighbours": 39, "across a gap": 36, "left and right": 34, "upper and lower": 27},
    "protanopia": {"neighbours": 38, "across a gap": 26, "left and right": 27, "upper and lower": 27},
    "deuteranopia": {"neighbours": 33, "across a gap": 23, "left and right": 30, "upper and lower": 25},
    "tritanopia": {"neighbours": 29, "across a gap": 20, "left and right": 21, "upper and lower": 19},
}


def lab(rgb: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """sRGB [n, 3], 0 … 255, as it is seen, in CIELAB (white point of sRGB)."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.asarray(seen).T, 0, 1) @ XYZ_OF_RGB.T / XYZ_OF_RGB.sum(axis=1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def test_known_values_of_the_colour_space() -> None:
    found = lab(np.array([[255, 255, 255], [255, 0, 0], [0, 0, 255]]), np.eye(3))
    np.testing.assert_allclose(found, [[100, 0, 0], [53.2, 80.1, 67.2], [32.3, 79.2, -107.9]], atol=0.2)
    red, green = lab(np.array([[180, 60, 60], [104, 104, 56]]), SEEN["protanopia"])
    assert np.linalg.norm(red - green) < 30  # far apart to others


@pytest.mark.parametrize("eye", SEEN)
def test_teeth_can_be_told_apart(eye: str) -> None:
    for kind, pairs in PAIRS.items():
        first, second = (lab(colours(np.array(side)).astype(float), SEEN[eye]) for side in zip(*pairs, strict=True))
        distance = np.linalg.norm(first - second, axis=1)
        least = LEAST[eye].get(kind, 20)
        assert distance.min() >= least, f"{kind}: {pairs[distance.argmin()]} are only {distance.min():.1f} apart"


def test_neighbours_differ_in_brightness_alone() -> None:
    for arch in ARCHES:
        assert np.abs(np.diff(colours(np.array(arch)) @ LUMA)).min() > 30


def test_every_number_has_its_own_colour() -> None:
    assert len(COLOUR_OF_FDI) == 34 == len(set(COLOUR_OF_FDI.values()))
    np.testing.assert_array_equal(colours(np.array(list(COLOUR_OF_FDI))), list(COLOUR_OF_FDI.values()))
    np.testing.assert_array_equal(colours(np.array([-1, 55, 9, 1000])), np.full((4, 3), 128))
