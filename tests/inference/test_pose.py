from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch_geometric.data import Batch

from benchmarks.studies.shapes import around
from toothgraph import load_model
from toothgraph.anatomy.frame import turned, upright_rotation
from toothgraph.graph.spec import scan_graph
from toothgraph.inference.look import look, tessellate
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.pose import View, Viewer, candidate_frames, certainty
from toothgraph.inference.predict import predict_mesh
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import load_palette
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import NetConfig, SegmentationNet
from toothgraph.model.jaws import join_places
from toothgraph.synthetic import synthetic_arch


def test_certainty_by_hand() -> None:
    prob = torch.full((3, 33), 0.0)
    prob[0, 0] = 1.0  # gingiva: no tooth to be sure of
    prob[1, 3], prob[1, 19] = 0.5, 0.5  # one place, both jaws
    prob[2, 1], prob[2, 2], prob[2, 0] = 0.7, 0.2, 0.1
    area = torch.tensor([2.0, 1.0, 1.0])
    assert certainty(prob.log(), area) == pytest.approx((1.0 + 0.5) / 4)
    assert certainty(prob[:1].log(), area[:1]) == 0


def test_join_places() -> None:
    log_prob = torch.randn(5, 33).log_softmax(dim=1)
    places = join_places(log_prob).exp()
    torch.testing.assert_close(places.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(places[:, 4], log_prob.exp()[:, [4, 20]].sum(dim=1))


def test_candidates_begin_with_the_scans_own_frame(arch: Mesh) -> None:
    frames = candidate_frames(arch)
    assert frames.shape == (9, 3, 3)
    np.testing.assert_array_equal(frames[0], np.eye(3))
    turn = Rotation.random(random_state=2).as_matrix()
    there = candidate_frames(turned(arch, turn))
    # among the candidates of a turned scan is one near each candidate of the scan as it was
    angles = [[Rotation.from_matrix(a @ turn @ b.T).magnitude() for a in there] for b in frames[1:]]
    assert np.degrees(np.min(angles, axis=1)).max() < 23


@pytest.mark.parametrize("change", [{}, {"features": "coordinates"}, {"kind": "paper"}])
def test_in_any_frame_it_is_the_net_on_the_turned_scan(
    net: SegmentationNet, arch: Mesh, change: dict[str, str]
) -> None:
    torch.manual_seed(0)
    other = SegmentationNet(NetConfig(**{**vars(net.config), "dynamic_k": 5, **change})).eval()
    turn = Rotation.random(random_state=3).as_matrix()
    jaw = torch.tensor([0])
    graph = scan_graph(arch, net.config.graph)[0]
    with torch.inference_mode():
        rotations = torch.from_numpy(np.stack([np.eye(3), turn])).float()
        say = other.in_any_frame(Batch.from_data_list([graph]), jaw)
        here, there = say(rotations[0]), say(rotations[1])
        torch.testing.assert_close(here, other(Batch.from_data_list([graph]), jaw), atol=1e-4, rtol=1e-4)
        moved = graph.clone()
        moved.pos, moved.normal = graph.pos @ rotations[1].T, graph.normal @ rotations[1].T
        moved.x = (graph.x.view(-1, 5, 3) @ rotations[1].T).flatten(1)
        expected = other(Batch.from_data_list([moved]), jaw)
        torch.testing.assert_close(there, expected, atol=2e-3, rtol=2e-3)
        assert not torch.allclose(here, there, atol=1e-3)


@pytest.fixture(scope="module")
def trained() -> SegmentationNet:
    return load_model()


@pytest.mark.parametrize("jaw", [0, 1])
def test_an_arch_is_recognised_however_it_lies(trained: SegmentationNet, jaw: int) -> None:
    mesh = synthetic_arch(5, jaw=jaw, faces=8000)
    behind = Rotation.from_euler("y", 170, degrees=True).as_matrix()
    for turn in (behind, *(Rotation.random(random_state=seed).as_matrix() for seed in range(3))):
        lying = turned(mesh, turn)
        with torch.inference_mode():
            seen = look(trained, tessellate(lying, trained.config.graph, 0), jaw, candidate_frames(lying))
        assert np.degrees(Rotation.from_matrix(seen.frame @ turn).magnitude()) < 15


def test_only_a_scan_that_stands_right_is_taken_as_it_lies(trained: SegmentationNet) -> None:
    mesh = synthetic_arch(5, jaw=0, faces=8000)
    behind = turned(mesh, Rotation.from_euler("y", 170, degrees=True).as_matrix())
    as_it_lies = PredictOptions(1, find_pose=False, assign_numbers=False)  # numbers would find their way back
    right, wrong = (predict_mesh(trained, scan, 0, as_it_lies).labels for scan in (mesh, behind))
    assert (right == mesh.labels).mean() > 0.6  # it was trained on real scans
    assert (wrong == mesh.labels)[mesh.labels > 0].mean() < 0.2


def test_the_frame_is_corrected_by_the_teeth_found(trained: SegmentationNet) -> None:
    mesh = synthetic_arch(5, jaw=0, faces=6000)
    batch = Batch.from_data_list([scan_graph(mesh, trained.config.graph)[0]])
    off = Rotation.from_euler("y", 30, degrees=True).as_matrix()
    behind = Rotation.from_euler("y", 180, degrees=True).as_matrix()
    with torch.inference_mode():
        viewer = viewer_of(trained, batch)
        assert viewer.view(behind).off > 120 and 15 < viewer.view(off).off < 45
        settled = viewer.settled(off)
        assert settled.off < 10 and np.degrees(Rotation.from_matrix(settled.frame).magnitude()) < 15
        np.testing.assert_array_equal(viewer.settled(behind).frame, behind)  # what asks for so much is not followed
        np.testing.assert_array_equal(viewer.best(np.stack([behind, off])).frame, settled.frame)
        np.testing.assert_array_equal(viewer.best(behind[None]).frame, behind)


def test_without_teeth_the_most_certain_frame_is_taken(net: SegmentationNet, arch: Mesh) -> None:
    viewer = viewer_of(net, Batch.from_data_list([scan_graph(arch, net.config.graph)[0]]))
    frames = candidate_frames(arch)
    with torch.inference_mode():
        found, all_views = viewer.best(frames), [viewer.settled(frame) for frame in frames]
    if min(view.off for view in all_views) >= 20:
        assert found.sure == max(view.sure for view in all_views)
    else:
        assert found.off < 20


@pytest.mark.slow
@pytest.mark.parametrize("teeth", [[44, 45, 46, 47], [35, 36, 37], [32, 31, 41, 42], [43, 44, 45, 46]])
def test_a_part_of_an_arch_gets_its_own_numbers(data_dir: Path, teeth: list[int]) -> None:
    """Also where little gum is seen, so that the part does not open towards the bite."""
    palette = load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg")
    scan = read_scan(data_dir / "3d-iosseg" / "080_L.ply", palette=palette)
    rotation = upright_rotation(scan)
    assert rotation is not None
    part = around(turned(scan, rotation), teeth)
    found = predict_mesh(load_model(), turned(part, Rotation.random(random_state=5).as_matrix()))
    assert sorted({*found.labels.tolist()} - {0}) == sorted(teeth)


def test_the_bite_of_few_teeth_is_where_their_crowns_face(net: SegmentationNet, arch: Mesh) -> None:
    graph = scan_graph(arch, net.config.graph)[0]
    viewer = viewer_of(net, Batch.from_data_list([graph]))
    with torch.inference_mode():
        view = viewer.view(np.eye(3))
        tooth = 1 - view.log_prob[:, 0].exp()
        mean = (tooth[:, None] * graph.area[:, None] * graph.normal).sum(dim=0)
        torch.testing.assert_close(torch.from_numpy(viewer.crowns_face(view)).float(), mean / mean.norm())
        # with fewer positions than a row needs, the frames about that direction are tried
        viewer.rules = replace(viewer.rules, row=17, agreed=0.0)
        few = viewer.best(candidate_frames(arch))
        assert few.teeth > 0
        np.testing.assert_allclose(few.frame[1], viewer.crowns_face(viewer_surest(viewer, arch)), atol=1e-5)


def viewer_of(net: SegmentationNet, batch: Batch) -> Viewer:
    return Viewer(net.in_any_frame(batch, torch.tensor([0])), batch)


def viewer_surest(viewer: Viewer, mesh: Mesh) -> View:
    """The candidate in which the net is surest."""
    return max((viewer.settled(frame) for frame in candidate_frames(mesh)), key=lambda view: view.sure)
