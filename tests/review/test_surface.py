"""The surface that the tools see."""

from __future__ import annotations

import numpy as np

from toothgraph.mesh.interpolate import interpolate
from toothgraph.review.surface import Surface
from toothgraph.synthetic import Variation, synthetic_arch


def test_values_are_carried_as_by_interpolation() -> None:
    surface = Surface(synthetic_arch(3, jaw=1, faces=16_000, variation=Variation.none()))
    assert len(surface.coarse.faces) < len(surface.mesh.faces)
    values = surface.coarse.centroids
    np.testing.assert_array_equal(surface.carry(values), interpolate(surface.coarse, surface.mesh, values))


def test_a_surface_as_coarse_as_the_tools_want_it_keeps_its_values(surface: Surface) -> None:
    assert surface.carry(surface.mesh.centroids) is surface.mesh.centroids
