"""Both jaws in one connected surface: parted where few faces join them, told where many do, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.topology import border_edges
from toothgraph.postprocess.joined_jaws import bite_height, joined_jaws
from toothgraph.synthetic import synthetic_arch


def bite() -> tuple[Mesh, int]:
    """An upper jaw upside down on a lower one, turned somehow; and how many faces the upper one has."""
    upper, lower = (synthetic_arch(3, jaw=jaw, faces=6000) for jaw in (0, 1))
    over = upper.vertices * [1, -1, -1]
    over[:, 1] += lower.vertices[:, 1].max() - over[:, 1].min() - 1
    vertices = np.concatenate([over, lower.vertices]) @ Rotation.random(random_state=2).as_matrix().T
    faces = np.concatenate([upper.faces, lower.faces + len(over)])
    return Mesh(vertices, faces, labels=np.concatenate([upper.labels, lower.labels]), scan_id="bite"), len(upper.faces)


def bridged(mesh: Mesh, first: int, count: int) -> Mesh:
    """Both surfaces joined by faces between the nearest of their molars.

    Args:
        mesh: two surfaces.
        first: how many faces the first of them has.
        count: of bridges.
    """
    far, near = cKDTree(mesh.centroids[first:]).query(mesh.centroids[:first])
    best = np.argsort(np.where(mesh.labels[:first] % 10 >= 6, far, np.inf))[:count]
    (a, b, _), (x, y, _) = mesh.faces[best].T, mesh.faces[first + near[best]].T
    bridges = np.concatenate([np.stack([a, b, x], axis=1), np.stack([b, x, y], axis=1)])
    labels = np.append(mesh.labels, np.zeros(len(bridges), dtype=int))
    return Mesh(mesh.vertices, np.concatenate([mesh.faces, bridges]), labels=labels, scan_id=mesh.scan_id)


@pytest.mark.parametrize("count", [1, 8])
def test_jaws_are_parted_where_they_touch(count: int) -> None:
    mesh, first = bite()
    one = bridged(mesh, first, count)
    assert one.pieces.max() == 0
    found = joined_jaws(one)
    assert found is not None and len(found.parts) == 2 and 0 < found.cut < 30
    upper, lower = sorted(found.parts, key=lambda part: part.min())
    assert np.count_nonzero(upper[upper < len(mesh.faces)] >= first) < 10  # a shorter line may lie beside a bridge
    assert np.count_nonzero(lower < first) < 10 and len(upper) + len(lower) == len(one.faces)


def test_a_loose_piece_goes_with_the_jaw_that_is_nearest() -> None:
    mesh, first = bite()
    one = bridged(mesh, first, 2)
    loose = one.vertices[one.faces[0]] + 0.2
    faces = np.concatenate([one.faces, [len(one.vertices) + np.arange(3)]])
    found = joined_jaws(Mesh(np.concatenate([one.vertices, loose]), faces))
    assert found is not None and any(0 in part and len(faces) - 1 in part for part in found.parts)


def test_jaws_that_touch_everywhere_are_told_and_not_parted() -> None:
    mesh, first = bite()
    found = joined_jaws(bridged(mesh, first, 600))
    assert found is not None and found.parts == () and found.cut > 60


def test_one_jaw_and_solids_are_no_bite(arch: Mesh) -> None:
    assert joined_jaws(arch) is None and bite_height(arch) is None
    count = len(arch.vertices)
    foot = arch.vertices * [1, 0, 1] + (arch.vertices[:, 1].min() - 5) * np.array([0, 1, 0])
    top, after = border_edges(arch.faces).T
    walls = [np.stack([after, top, top + count], 1), np.stack([after, top + count, after + count], 1)]
    solid = Mesh(
        np.concatenate([arch.vertices, foot]), np.concatenate([arch.faces, arch.faces[:, ::-1] + count, *walls])
    )
    assert bite_height(solid) is None and bite_height(solid.inside_out()) is None
    assert bite_height(replace(arch, vertices=arch.vertices[:, ::-1])) is None


def test_flat_and_tiny_surfaces_are_no_bite() -> None:
    square = np.array([[0, 0, 0], [40, 0, 0], [40, 40, 0], [0, 40, 0.0]])
    wound_both_ways = Mesh(square, np.array([[0, 1, 2], [0, 3, 2]]))
    assert joined_jaws(wound_both_ways) is None
    assert joined_jaws(Mesh(square[:3], np.array([[0, 1, 2]]))) is None
