"""Where two jaws stand on a page."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import turned
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.placing import in_one_bite, place_jaws
from toothgraph.synthetic import Variation, synthetic_arch


def labelled(mesh: Mesh) -> tuple[Mesh, np.ndarray]:
    assert mesh.labels is not None
    return mesh, mesh.labels


@pytest.fixture(scope="module")
def jaws() -> tuple[Mesh, Mesh]:
    """An upper and a lower arch as they lie in a mouth: both with x forward, the upper one upside down."""
    upper, lower = (synthetic_arch(1, jaw=jaw, faces=3000, variation=Variation.none()) for jaw in (0, 1))
    upper = turned(upper, np.diag([1.0, -1.0, -1.0]))
    assert upper.labels is not None
    return Mesh(upper.vertices + np.array([2.0, 8.0, 0.0]), upper.faces, upper.labels, 0), lower


def crowns(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    assert mesh.labels is not None
    return points[mesh.faces[mesh.labels > 0]].reshape(-1, 3)


def test_jaws_in_one_bite_stay_as_they_lie(jaws: tuple[Mesh, Mesh]) -> None:
    turn = Rotation.random(random_state=3).as_matrix()
    upper, lower = (turned(jaw, turn) for jaw in jaws)
    assert in_one_bite(labelled(upper), labelled(lower)) and in_one_bite(labelled(lower), labelled(upper))
    points, note = place_jaws([labelled(upper), labelled(lower)])
    assert note == ""
    before = np.linalg.norm(upper.vertices[:50] - lower.vertices[:50], axis=1)
    np.testing.assert_allclose(np.linalg.norm(points[0][:50] - points[1][:50], axis=1), before, atol=1e-9)
    assert crowns(points[0], upper)[:, 1].mean() > crowns(points[1], lower)[:, 1].mean() + 2


def test_jaws_of_two_scans_are_put_together(jaws: tuple[Mesh, Mesh]) -> None:
    upper, lower = turned(jaws[0], Rotation.random(random_state=1).as_matrix()), jaws[1]
    for order in ((upper, lower), (lower, upper)):
        assert not in_one_bite(*map(labelled, order))
        points, note = place_jaws([labelled(jaw) for jaw in order])
        assert "not as the patient bites" in note
        above, below = (
            crowns(own, jaw) for own, jaw in sorted(zip(points, order, strict=True), key=lambda p: p[1].jaw)
        )
        assert above[:, 1].mean() > below[:, 1].mean() + 2
        assert abs(above[:, 1].min() - below[:, 1].max()) < 4  # they meet
        assert 0 < above[:, 2].max() - below[:, 2].max() < 4  # the upper incisors stand before the lower ones
        assert abs(above[:, 0].mean() - below[:, 0].mean()) < 2


def test_one_scan_lies_in_the_middle(jaws: tuple[Mesh, Mesh]) -> None:
    (points,), note = place_jaws([labelled(jaws[1])])
    np.testing.assert_allclose(points.min(axis=0), -points.max(axis=0), atol=1e-9)
    assert note == ""
