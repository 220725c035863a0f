"""Colours of teeth that stand beside or opposite each other can be told apart, whatever colours a person sees."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from toothgraph import report
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
    "one jaw": [pair for arch in ARCHES for pair in combinations(arch, 2)],
    "any two": list(combinations([*ARCHES[0], *ARCHES[1]], 2)),
    "tooth and gingiva": [(0, tooth) for arch in ARCHES for tooth in arch],
    "tooth and unknown": [(-1, tooth) for arch in ARCHES for tooth in arch],
}  # fmt: skip
# CIEDE2000; a difference of about 1 is just seen, with the colours side by side. The kinds are in the order of PAIRS.
LEAST = {
    "all colours": (32, 27, 29, 24, 16, 7, 19, 13),
    "protanopia": (23, 17, 21, 19, 8, 2, 13, 9),
    "deuteranopia": (24, 17, 21, 19, 8, 2, 13, 9),
    "tritanopia": (19, 15, 21, 15, 8, 2, 13, 9),
}
GROUNDS = {"light panel": 0xFFFFFF, "light": 0xEEF1F4, "dark panel": 0x1D242C, "dark": 0x14191F}  # of the pages


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


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """CIEDE2000 between colours [n, 3] in CIELAB. Source: Sharma, Wu, Dalal 2005, https://doi.org/10.1002/col.20070"""
    (l1, a1, b1), (l2, a2, b2) = first.T, second.T
    # 1. Greys are stretched along a.
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25**7)))
    (c1, h1), (c2, h2) = ((np.hypot(stretch * a, b), np.degrees(np.arctan2(b, stretch * a)) % 360)
                          for a, b in ((a1, b1), (a2, b2)))  # fmt: skip
    # 2. Differences of lightness, chroma and hue.
    turn = np.where(c1 * c2 == 0, 0, (h2 - h1 + 180) % 360 - 180)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    # 3. Their weights, at the middle of both colours.
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    middle = np.radians(np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2) % 360)
    t = (1 - 0.17 * np.cos(middle - np.radians(30)) + 0.24 * np.cos(2 * middle)
         + 0.32 * np.cos(3 * middle + np.radians(6)) - 0.2 * np.cos(4 * middle - np.radians(63)))  # fmt: skip
    parts = (
        (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)),
        (c2 - c1) / (1 + 0.045 * chroma),
        hue / (1 + 0.015 * chroma * t),
    )
    blue = np.radians(60 * np.exp(-(((np.degrees(middle) - 275) / 25) ** 2)))
    mixed = -2 * np.sqrt(chroma**7 / (chroma**7 + 25**7)) * np.sin(blue)
    return np.sqrt(sum(part**2 for part in parts) + mixed * parts[1] * parts[2])


def test_known_values_of_the_difference() -> None:
    first = np.array([[50, 2.6772, -79.7751], [50, 2.5, 0], [50, 2.5, 0], [60.2574, -34.0099, 36.2677], [50, 0, 0]])
    second = np.array([[50, 0, -82.7485], [73, 25, -18], [56, -27, -3], [60.4626, -34.1751, 39.4387], [50, -1, 2]])
    np.testing.assert_allclose(difference(first, second), [2.0425, 27.1492, 31.9030, 1.2644, 2.3669], atol=1e-4)


@pytest.mark.parametrize("eye", SEEN)
def test_teeth_can_be_told_apart(eye: str) -> None:
    for (kind, pairs), least in zip(PAIRS.items(), LEAST[eye], strict=True):
        first, second = (lab(colours(np.array(side)).astype(float), SEEN[eye]) for side in zip(*pairs, strict=True))
        apart = difference(first, second)
        assert apart.min() >= least, f"{kind}: {pairs[apart.argmin()]} are only {apart.min():.1f} apart"


@pytest.mark.parametrize("eye", SEEN)
@pytest.mark.parametrize("name", GROUNDS)
def test_teeth_stand_out_from_the_page(name: str, eye: str) -> None:
    ground = lab(np.array([list(GROUNDS[name].to_bytes(3))]).astype(float), SEEN[eye])
    teeth = lab(colours(np.array([*ARCHES[0], *ARCHES[1]])).astype(float), SEEN[eye])
    assert difference(np.repeat(ground, 32, axis=0), teeth).min() > 8
    style = (Path(report.__file__).parent / "web" / "page.css").read_text()
    shown = f"{GROUNDS[name]:06x}"
    assert f"#{shown}" in style or f"#{shown[::2]}" in style


def test_neighbours_differ_in_brightness_alone() -> None:
    for arch in ARCHES:
        assert np.abs(np.diff(colours(np.array(arch)) @ LUMA)).min() > 30


def test_every_number_has_its_own_colour() -> None:
    assert len(COLOUR_OF_FDI) == 2 + 32 + 20 == len(set(COLOUR_OF_FDI.values()))
    np.testing.assert_array_equal(colours(np.array(list(COLOUR_OF_FDI))), list(COLOUR_OF_FDI.values()))
    np.testing.assert_array_equal(colours(np.array([-1, 56, 9, 1000])), np.full((4, 3), 128))
