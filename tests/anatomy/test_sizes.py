from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.sizes import CROWN_AREA, area_quantiles, mesiodistal_spans, tooth_sizes, usual_areas
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch


def boxes(sizes: list[tuple[float, float]], between: float = 0.5) -> tuple[Mesh, list[np.ndarray]]:
    """Boxes in a row along x, y up: as wide and deep as given, and as high as their place in the row."""
    vertices, faces, teeth, start = [], [], [], 0.0
    for place, (width, depth) in enumerate(sizes):
        x, z = np.meshgrid(np.linspace(0, width, 60), np.linspace(-depth / 2, depth / 2, 60), indexing="ij")
        corner = (np.arange(59)[:, None] * 60 + np.arange(59)).reshape(-1, 1) + 3600 * place
        own = np.concatenate([corner + np.array([0, 1, 60]), corner + np.array([1, 61, 60])])
        teeth.append(np.arange(len(own)) + sum(map(len, faces)))
        faces.append(own)
        vertices.append(np.stack([start + x.ravel(), np.full(3600, float(place)), z.ravel()], axis=1))
        start += width + between
    return Mesh(np.concatenate(vertices), np.concatenate(faces)), teeth


def test_sizes_of_known_boxes_in_any_frame() -> None:
    wanted = [(8.0, 7.0), (6.0, 9.0), (11.0, 10.0), (10.0, 12.0)]
    mesh, teeth = boxes(wanted)
    up = np.array([0.0, 1.0, 0.0])
    inner = 0.96  # of a box, as 0.02 is left out at either end
    np.testing.assert_allclose(tooth_sizes(mesh, teeth, up), inner * np.array(wanted), rtol=0.02)
    turn = Rotation.random(random_state=0).as_matrix()
    turned = Mesh(mesh.vertices @ turn.T, mesh.faces)
    np.testing.assert_allclose(tooth_sizes(turned, teeth, turn @ up), tooth_sizes(mesh, teeth, up), rtol=1e-6)


def test_what_is_not_known_is_nan() -> None:
    mesh, teeth = boxes([(8.0, 7.0), (6.0, 9.0)])
    without_up = tooth_sizes(mesh, teeth, None)
    assert np.isfinite(without_up[:, 0]).all() and np.isnan(without_up[:, 1]).all()
    assert np.isnan(tooth_sizes(mesh, teeth[:1], np.array([0.0, 1.0, 0.0]))).all()  # no neighbour
    assert tooth_sizes(mesh, [], None).shape == (0, 2)


def test_a_stray_face_does_not_widen_a_tooth() -> None:
    mesh, teeth = boxes([(8.0, 7.0), (6.0, 9.0)])
    far = Mesh(
        np.concatenate([mesh.vertices, mesh.vertices[:3] + 40.0]),
        np.concatenate([mesh.faces, len(mesh.vertices) + np.array([[0, 1, 2]])]),
    )
    up = np.array([0.0, 1.0, 0.0])
    with_stray = [np.append(teeth[0], len(mesh.faces)), teeth[1]]
    assert tooth_sizes(far, with_stray, up)[0] == pytest.approx(tooth_sizes(mesh, teeth, up)[0], rel=0.02)


def test_usual_areas_follow_the_size_of_the_mouth() -> None:
    place = np.array([3, 2, 1, 9, 10, 14])
    usual = CROWN_AREA[1, [2, 1, 0, 0, 1, 5]]
    area = 1.2 * usual
    area[5] *= 1.9  # two teeth under one number say nothing of the others
    np.testing.assert_allclose(usual_areas(place, area, 1), 1.2 * usual)
    scraps = np.where(np.arange(6) < 3, 10.0, area)
    np.testing.assert_allclose(usual_areas(place, scraps, 1), usual)  # three teeth are too few to tell by


def test_a_tooth_across_the_mouth_is_no_neighbour() -> None:
    arch = synthetic_arch(0, jaw=0, faces=8000)
    labels = np.where(np.isin(arch.labels % 10, (1, 2, 3)), 0, arch.labels)
    front = [fdi for fdi in (17, 16, 15, 14, 24, 25, 26, 27) if (labels == fdi).any()]
    whole = [fdi for fdi in (17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27) if (arch.labels == fdi).any()]
    up = np.array([0.0, 1.0, 0.0])
    gapped, full = (
        dict(zip(order, tooth_sizes(arch, [np.flatnonzero(arch.labels == fdi) for fdi in order], up), strict=True))
        for order in (front, whole)
    )
    for fdi in front:
        assert gapped[fdi] == pytest.approx(full[fdi], rel=0.12)


def test_spans_of_known_boxes_in_any_frame() -> None:
    widths = [8.0, 6.0, 11.0, 10.0]
    mesh, teeth = boxes([(width, 9.0) for width in widths])
    turn = Rotation.random(random_state=0).as_matrix()
    turned = Mesh(mesh.vertices @ turn.T, mesh.faces)
    spans = mesiodistal_spans(turned, teeth, turn @ [0.0, 1.0, 0.0])
    start = 0.0
    for place, (width, span) in enumerate(zip(widths, spans, strict=True)):
        assert span is not None and span.width == pytest.approx(0.99 * width, rel=0.01)
        ends = [[start + 0.005 * width, place, 0], [start + 0.995 * width, place, 0]]
        np.testing.assert_allclose((span.ends @ turn)[:, :2], np.array(ends)[:, :2], atol=0.05)
        assert np.abs((span.ends @ turn)[:, 2]).max() < 1  # the middle of the few faces at the end
        start += width + 0.5


def test_a_span_needs_a_neighbour_and_not_the_direction_of_the_bite() -> None:
    mesh, teeth = boxes([(8.0, 7.0), (6.0, 9.0)])
    assert mesiodistal_spans(mesh, teeth[:1], None) == [None]
    assert [span is not None for span in mesiodistal_spans(mesh, teeth, None)] == [True, True]


def test_a_span_does_not_depend_on_the_resolution() -> None:
    """The corners of faces do: on a coarse mesh they lie beyond the border."""
    up = np.array([0.0, 1.0, 0.0])
    rows = []
    for faces in (10_000, 60_000):
        arch = synthetic_arch(0, jaw=1, faces=faces, variation=Variation.none())
        teeth = [np.flatnonzero(arch.labels == fdi) for fdi in (37, 36, 35, 34, 33, 32, 31, 41, 42, 43, 44, 45, 46, 47)]
        spans = mesiodistal_spans(arch, teeth, up)
        rows.append([[span.width for span in spans if span], tooth_sizes(arch, teeth, up)[:, 0]])
    by_area, by_corner = np.subtract(*rows)
    assert abs(by_area.mean()) < 0.06 and np.abs(by_area).max() < 0.25 and by_corner.mean() > 0.15


def test_quantiles_by_area() -> None:
    values, area = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    np.testing.assert_allclose(area_quantiles(values, area, [0.0, 0.5, 1.0]), [1, 2, 3])
    np.testing.assert_allclose(area_quantiles(values, area, [(0.5 + 1) / 4]), [1 + 2 / 3])
