from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import (
    area_vector,
    bite_directions,
    frames_about,
    jaw_shown,
    outside_out,
    place_of,
    rotation_to_places,
    turned,
    upright_rotation,
    viewing_frame,
)
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch


def degrees(rotation: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(rotation).magnitude()))


@pytest.mark.parametrize("jaw", [0, 1])
def test_synthetic_arches_stand_upright_and_come_back_from_any_turn(jaw: int) -> None:
    for seed in range(3):
        mesh = synthetic_arch(seed, jaw=jaw, faces=2000)
        here = upright_rotation(mesh)
        assert here is not None and degrees(here) < 12  # a real arch is never quite the mean one
        turn = Rotation.random(random_state=seed).as_matrix()
        there = upright_rotation(turned(mesh, turn))
        assert there is not None
        assert degrees(there @ turn @ here.T) < 2  # medians along other axes differ a little
        assert np.linalg.det(there) == pytest.approx(1)


def test_places_of_a_mean_arch() -> None:
    places = place_of(np.arange(16))
    assert places.shape == (16, 3) and (places[:, 1] == 0).all()
    np.testing.assert_array_equal(places[:8, 0], places[8:, 0])
    np.testing.assert_array_equal(places[:8, 2], -places[8:, 2])
    assert (np.diff(places[:8, 0]) < 0).all() and (places[8:, 2] > 0).all()


def test_a_mirror_image_is_not_taken_for_a_turn(arch: Mesh) -> None:
    mirrored = Mesh(arch.vertices * [1, 1, -1], arch.faces[:, ::-1], labels=arch.labels)
    rotation = upright_rotation(mirrored)
    assert rotation is not None and np.linalg.det(rotation) == pytest.approx(1)


def test_too_few_teeth_fix_no_frame(arch: Mesh) -> None:
    assert upright_rotation(arch.with_labels(None)) is None
    teeth = np.unique(arch.labels[arch.labels > 0])
    for count, known in ((3, False), (4, True)):
        some = arch.with_labels(np.where(np.isin(arch.labels, teeth[:count]), arch.labels, 0))
        assert (upright_rotation(some) is not None) == known
    assert rotation_to_places(np.zeros((0, 3)), np.zeros(0, dtype=int)) is None


@pytest.mark.parametrize("inside_out", [False, True])
@pytest.mark.parametrize(("jaw", "teeth"), [(0, (14, 15, 16, 17)), (1, (33, 34, 35, 36, 37))])
def test_teeth_in_a_line_stand_upright_by_their_gum(jaw: int, teeth: tuple[int, ...], inside_out: bool) -> None:
    """Once the turn about that line was noise, and a right scan was called inside out."""
    for seed in range(4):
        mesh = synthetic_arch(seed, jaw=jaw, faces=8000)
        whole = upright_rotation(mesh)
        distance, _ = cKDTree(mesh.centroids[np.isin(mesh.labels, teeth)]).query(mesh.centroids)
        side = mesh.part(distance < 4)
        side = side.with_labels(np.where(np.isin(side.labels, teeth), side.labels, 0))
        side = side.inside_out() if inside_out else side
        rotation = upright_rotation(side)
        assert whole is not None and rotation is not None
        assert rotation[1] @ whole[1] > np.cos(np.radians(25))
        assert (outside_out(side, rotation) is not side) == inside_out


def test_stray_faces_do_not_turn_it(arch: Mesh) -> None:
    labels = arch.labels.copy()
    far = np.argsort(arch.centroids[:, 0])[:15]
    labels[far] = 11
    stray, clean = upright_rotation(arch.with_labels(labels)), upright_rotation(arch)
    assert stray is not None and clean is not None and degrees(stray @ clean.T) < 3


def test_the_area_vector_points_to_the_bite(arch: Mesh) -> None:
    turn = Rotation.random(random_state=1).as_matrix()
    (up,) = bite_directions(turned(arch, turn))
    assert np.linalg.norm(up) == pytest.approx(1) and up @ turn[:, 1] > np.cos(np.radians(25))
    np.testing.assert_allclose(area_vector(turned(arch, turn)), area_vector(arch) @ turn.T, atol=1e-9)


def test_a_closed_surface_has_six_directions() -> None:
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 5, 0], [0, 0, 2]], dtype=float)
    solid = Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    assert np.linalg.norm(area_vector(solid)) < 1e-12
    directions = bite_directions(solid)
    assert directions.shape == (6, 3)
    np.testing.assert_allclose(np.sort(directions @ directions.T, axis=1)[:, [0, -1]], np.tile([-1, 1], (6, 1)))


@pytest.mark.parametrize("up", [[0, 1, 0], [0, 0, -1], [0.6, 0, 0.8], [1, 0, 0]])
def test_frames_about_a_direction(up: list[float]) -> None:
    frames = frames_about(np.array(up, dtype=float), 8)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (8, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(frames @ np.array(up), np.tile([0, 1, 0], (8, 1)), atol=1e-12)
    steps = [degrees(a @ b.T) for a, b in zip(frames, np.roll(frames, -1, axis=0), strict=True)]
    np.testing.assert_allclose(steps, 45)


def test_a_labelled_mesh_wound_inside_out_is_turned_round() -> None:
    mesh = turned(synthetic_arch(0, jaw=1, faces=2000), Rotation.random(random_state=1).as_matrix())
    assert outside_out(mesh, upright_rotation(mesh)) is mesh
    wrong = mesh.inside_out()
    np.testing.assert_array_equal(outside_out(wrong, upright_rotation(wrong)).faces, mesh.faces)
    unlabelled = wrong.with_labels(None)
    assert outside_out(unlabelled, upright_rotation(unlabelled)) is unlabelled


def tilt(first: np.ndarray, second: np.ndarray) -> float:
    """The angle between the bites of two viewing frames, degrees."""
    return float(np.degrees(np.arccos(np.clip(first[2] @ second[2], -1, 1))))


def test_the_bite_is_level_whatever_of_the_crowns_is_labelled(arch: Mesh) -> None:
    """The middles of crowns lie higher where their lower halves are not labelled; their tips do not."""
    frame = viewing_frame(arch)
    height = arch.centroids @ frame[2]
    teeth = arch.labels > 0
    half = teeth & (arch.labels < 20) & (height < np.median(height[teeth]))
    labels = np.where(half, 0, arch.labels)
    middles = upright_rotation(arch.with_labels(labels))[[0, 2, 1]]
    assert tilt(middles, frame) > 1.0
    assert tilt(viewing_frame(arch.with_labels(labels)), frame) < 0.2


def test_one_tooth_that_stands_out_hardly_turns_the_bite(arch: Mesh) -> None:
    frame = viewing_frame(arch)
    vertices = arch.vertices.copy()
    vertices[np.unique(arch.faces[arch.labels == 13])] += 4.0 * frame[2]
    out = replace(arch, vertices=vertices)
    assert tilt(viewing_frame(out), frame) < 1.0 < tilt(upright_rotation(out)[[0, 2, 1]], frame)


def test_the_bite_of_one_side_is_that_of_its_middles(arch: Mesh) -> None:
    labels = np.where(np.isin(arch.labels, [14, 15, 16, 17]), arch.labels, 0)
    one_side = arch.with_labels(labels)
    np.testing.assert_allclose(viewing_frame(one_side), upright_rotation(one_side)[[0, 2, 1]], atol=1e-12)


@pytest.mark.parametrize(("teeth", "jaw"), [([0, 55, 61], 0), ([0, 75, 81], 1), ([0, -1], 1)])
def test_milk_teeth_alone_tell_which_jaw_is_drawn(arch: Mesh, teeth: list[int], jaw: int) -> None:
    labels = np.resize(teeth, len(arch.faces))
    assert jaw_shown(replace(arch, jaw=1, labels=labels)) == jaw
    assert jaw_shown(replace(arch, jaw=1, labels=None), labels) == jaw
