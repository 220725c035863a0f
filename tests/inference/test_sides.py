from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.studies.shapes import UP, crowns_alone, shell, solid_full, solid_u, teeth_of
from toothgraph import load_model
from toothgraph.anatomy.frame import turned
from toothgraph.evaluation import score_prediction
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import predict_mesh
from toothgraph.inference.sides import bite_sides, flat_sides, side_with_teeth, volume
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.nets import SegmentationNet
from toothgraph.synthetic import synthetic_arch

TURN = Rotation.random(random_state=7).as_matrix()


@pytest.fixture(scope="module")
def scan() -> Mesh:
    return synthetic_arch(11, jaw=1, faces=8000)


@pytest.fixture(scope="module")
def package() -> SegmentationNet:
    return load_model()


def test_all_of_a_scan_is_looked_at(net: SegmentationNet, scan: Mesh) -> None:
    assert side_with_teeth(net, scan, -1, PredictOptions()) is None


@pytest.mark.parametrize("depth", [2.0, 10.0, 30.0])
def test_the_teeth_point_away_from_a_flat_bottom(scan: Mesh, depth: float) -> None:
    for model in (solid_u(scan, depth), solid_full(scan, depth)):
        there = turned(model, TURN)
        np.testing.assert_allclose(flat_sides(there)[0], TURN @ -UP, atol=0.02)
        np.testing.assert_allclose(bite_sides(there)[0], TURN @ UP, atol=0.02)


def test_a_shell_has_no_bottom_and_may_show_its_teeth_on_two_sides(scan: Mesh) -> None:
    model = turned(shell(scan, 1.0), TURN)
    assert len(flat_sides(model)) == 0
    one, other = bite_sides(model)
    assert one @ other < -0.9
    assert abs(one @ TURN @ UP) > 0.95


def test_volume_tells_which_way_a_closed_surface_is_wound(scan: Mesh) -> None:
    model = solid_u(scan, 4.0)
    assert volume(turned(model, TURN)) == pytest.approx(volume(model))
    assert volume(model) > 5000
    assert volume(model.inside_out()) == pytest.approx(-volume(model))


def test_without_a_search_for_the_pose_the_bite_is_up(net: SegmentationNet, scan: Mesh) -> None:
    model, options = solid_u(scan, 4.0), PredictOptions(find_pose=False)
    crowns = (model.labels > 0) & (model.normals @ UP > 0.5)
    side = side_with_teeth(net, model, 1, options)
    assert side is not None and side[crowns].mean() > 0.98
    upside_down = side_with_teeth(net, turned(model, np.diag([1.0, -1, -1])), 1, options)
    assert upside_down is not None and upside_down[crowns].mean() < 0.02


def test_base_and_walls_are_gingiva_and_the_teeth_are_found(package: SegmentationNet, scan: Mesh) -> None:
    model = turned(solid_u(scan, 3.0), TURN)
    found = predict_mesh(package, model)
    own = np.arange(len(model.faces)) < len(scan.faces)
    assert found.jaw == 1
    assert not (found.labels[~own & ~near_gum(model, own)] > 0).any()
    there, shown = set(teeth_of(scan)), set(found.labels.tolist()) - {0}
    assert shown <= there and len(shown) >= len(there) - 1


def near_gum(mesh: Mesh, own: np.ndarray) -> np.ndarray:
    """Faces that touch one of the scan's own: a border may move by one face."""
    shared = np.isin(mesh.faces, mesh.faces[own])
    near: np.ndarray = shared.any(axis=1)
    return near


@pytest.mark.parametrize("closed", [False, True])
def test_each_crown_alone_is_one_tooth(package: SegmentationNet, scan: Mesh, closed: bool) -> None:
    crowns = turned(crowns_alone(scan, closed), TURN)
    found = predict_mesh(package, crowns)
    assert found.jaw == 1
    np.testing.assert_array_equal(found.labels, crowns.labels)
    assert (found.confidence > 0.3).all()


@pytest.mark.slow
def test_a_model_wound_inside_out_is_turned(package: SegmentationNet, scan: Mesh) -> None:
    model = turned(solid_u(scan, 3.0), TURN)
    found = predict_mesh(package, replace(model, faces=model.faces[:, ::-1]))
    assert found.inside_out
    assert (found.labels == predict_mesh(package, model).labels).mean() > 0.99


SHAPES = "field/shapes/"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "teeth"), [
    ("closed-u-model_lower.stl", [31, 32, 33, 34, 35, 36, 41, 42, 43, 44, 45, 46]),
    ("closed-u-model_upper.stl", [11, 12, 13, 15, 16, 17, 21, 22, 23, 25, 26, 27, 28]),
    ("closed-crowns-no-gum_upper.obj", [*range(11, 18), *range(21, 28)]),
])  # fmt: skip
def test_models_of_the_field_show_all_their_teeth(
    package: SegmentationNet, data_dir: Path, name: str, teeth: list[int]
) -> None:
    mesh = read_scan(data_dir / SHAPES / name)
    found = predict_mesh(package, mesh)  # the jaw is not told
    assert found.jaw == mesh.jaw
    assert sorted({*found.labels.tolist()} - {0}) == teeth


@pytest.mark.slow
@pytest.mark.parametrize(("name", "miou"), [("shell-1mm_lower.stl", 0.94), ("crowns-no-gum_lower.stl", 0.999)])
def test_shell_and_crowns_of_the_field_are_as_good_as_a_scan(
    package: SegmentationNet, data_dir: Path, name: str, miou: float
) -> None:
    mesh = read_scan(data_dir / SHAPES / name)
    assert score_prediction(mesh, predict_mesh(package, mesh), 0.0).row["miou_matched"] > miou
