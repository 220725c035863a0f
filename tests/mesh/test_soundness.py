from __future__ import annotations

import numpy as np
import pytest

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.soundness import broken_surface


@pytest.mark.parametrize(("share", "told"), [(0.0, ""), (0.01, ""), (0.05, "10%"), (0.5, "50%"), (1.0, "")])
def test_faces_wound_in_both_directions_are_told(arch: Mesh, share: float, told: str) -> None:
    turned = np.random.default_rng(0).random(len(arch.faces)) < share
    said = broken_surface(Mesh(arch.vertices, np.where(turned[:, None], arch.faces[:, ::-1], arch.faces)))
    assert bool(said) == bool(told)
    if told:
        share_told = float(said.split("at ")[1].split("%")[0])
        assert share_told == pytest.approx(float(told[:-1]), abs=2) and "wound in opposite directions" in said


def test_corners_that_are_not_shared_are_told(arch: Mesh) -> None:
    loose = Mesh(arch.corners.reshape(-1, 3), np.arange(arch.faces.size).reshape(-1, 3))
    assert broken_surface(loose).startswith("100% of the faces have no common edge with another one")
