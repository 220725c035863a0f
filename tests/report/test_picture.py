"""Pictures: what is drawn where, in which colour, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.anatomy.frame import area_vector, turned, viewing_frame
from toothgraph.errors import ConfigError
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.picture import render, render_grid, thumbnail
from toothgraph.synthetic import Variation, synthetic_arch
from toothgraph.synthetic.model_base import with_base


@pytest.fixture(scope="module", params=[0, 1], ids=["upper", "lower"])
def arch(request: pytest.FixtureRequest) -> Mesh:
    return synthetic_arch(1, jaw=request.param, faces=3000, variation=Variation.none())


def hue_pixels(image: np.ndarray, fdi: int) -> np.ndarray:
    """Places [P, 2] (row, column) of pixels whose colour is a shade of the tooth's."""
    colour = np.array(COLOUR_OF_FDI[fdi]) / 255
    brightness = image[..., :3] @ colour / (colour @ colour)
    off = np.abs(image[..., :3] - brightness[..., None] * colour).max(axis=-1)
    return np.argwhere((off < 0.01) & (brightness < 0.999) & (brightness > 0.2))


@pytest.mark.parametrize("labelled", [True, False])
def test_viewing_frame_finds_bite_and_front(arch: Mesh, labelled: bool) -> None:
    frame = viewing_frame(arch if labelled else arch.with_labels(None))
    assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-9)
    forward, right, up = frame
    assert forward[0] > 0.95 and up[1] > 0.95
    assert right[2] > 0.95  # seen from the bite, +z lies to the right


def test_viewing_frame_turns_with_the_mesh(arch: Mesh) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    turned = Mesh(arch.vertices @ turn.T + 100.0, arch.faces)
    assert np.allclose(viewing_frame(turned), viewing_frame(arch.with_labels(None)) @ turn.T, atol=1e-6)


def test_viewing_frame_of_a_closed_surface_is_orthonormal() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    frame = viewing_frame(Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])))
    assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-9)


def test_a_watertight_model_is_seen_from_the_bite() -> None:
    """Its mean normal says nothing, and what little there is points to a hole."""
    arch = synthetic_arch(0, jaw=1, faces=4000)
    solids = (with_base(arch, np.random.default_rng(seed)) for seed in range(9))  # half of them have a bottom
    solid = next(solid for solid in solids if np.linalg.norm(area_vector(solid)) < 1e-6)
    mesh = solid.part(np.arange(len(solid.faces)) != len(solid.faces) - 1)
    found = mesh.with_labels(None)
    for frame in (viewing_frame(mesh), viewing_frame(found, mesh.labels)):
        assert frame[0, 0] > 0.95 and frame[2, 1] > 0.95
    assert np.array_equal(viewing_frame(mesh, np.zeros(len(mesh.faces), dtype=int)), viewing_frame(mesh))


def test_teeth_appear_in_their_colours_on_their_sides(arch: Mesh, tmp_path: Path) -> None:
    render(tmp_path / "arch.png", arch, views=("occlusal",), size=4)
    image = imread(tmp_path / "arch.png")
    assert image.shape[:2] == (450, 400)
    first, second = (16, 26) if arch.jaw == 0 else (46, 36)  # the patient's right is on the left
    left, right = hue_pixels(image[:400], first), hue_pixels(image[:400], second)
    assert len(left) > 100 and len(right) > 100
    assert left[:, 1].max() < 200 < right[:, 1].min()
    incisors = hue_pixels(image[:400], 11 if arch.jaw == 0 else 31)
    above = incisors[:, 0].mean() < left[:, 0].mean()
    assert above == (arch.jaw == 0)  # as in a chart of teeth: upper incisors at the top, lower ones at the bottom


@pytest.mark.parametrize("lies", [0, 1, 2])
def test_crowns_point_as_in_a_mouth_however_the_scan_lies(arch: Mesh, tmp_path: Path, lies: int) -> None:
    mesh = turned(arch, Rotation.random(random_state=lies).as_matrix())
    render(tmp_path / "arch.png", mesh, views=("front", "side"), size=4)
    image = imread(tmp_path / "arch.png")[:400]
    front, side = image[:, :400], image[:, 400:]
    incisor, first, second = (11, 13, 23) if arch.jaw == 0 else (31, 43, 33)
    assert (hue_pixels(front, incisor)[:, 0].mean() > hue_pixels(front, 0)[:, 0].mean()) == (arch.jaw == 0)
    assert hue_pixels(front, first)[:, 1].mean() < 190 < 210 < hue_pixels(front, second)[:, 1].mean()
    # from the patient's right, so the front is at the right
    molar = 16 if arch.jaw == 0 else 46
    assert hue_pixels(side, molar)[:, 1].mean() < hue_pixels(side, first)[:, 1].mean()
    assert len(hue_pixels(side, molar)) > 10 * len(hue_pixels(side, 26 if arch.jaw == 0 else 36))


def test_right_and_left_are_written_where_they_are_known(arch: Mesh, tmp_path: Path) -> None:
    def corners(mesh: Mesh) -> tuple[int, int]:
        render(tmp_path / "arch.png", mesh, views=("occlusal",), size=4)
        ink = imread(tmp_path / "arch.png")[30:60, :, :3].max(axis=2) < 0.7
        return int(ink[:, :20].sum()), int(ink[:, -20:].sum())

    assert min(corners(arch)) > 5
    unknown = replace(arch.with_labels(None), jaw=-1)
    assert corners(unknown) == (0, 0)


def test_labels_given_replace_the_mesh_own(arch: Mesh, tmp_path: Path) -> None:
    render(tmp_path / "gum.png", arch, np.zeros(len(arch.faces), dtype=int), views=("occlusal", "front"))
    image = imread(tmp_path / "gum.png")
    assert len(hue_pixels(image, 0)) > 5000
    assert all(len(hue_pixels(image, tooth)) < 20 for tooth in np.unique(arch.labels) if tooth > 0)


def test_no_gaps_between_faces(arch: Mesh, tmp_path: Path) -> None:
    """Inside a molar seen from the bite there is no white pixel."""
    render(tmp_path / "arch.png", arch, views=("occlusal",), size=6)
    image = imread(tmp_path / "arch.png")[:600]
    spots = hue_pixels(image, 16 if arch.jaw == 0 else 36)
    row, column = np.round(np.median(spots, axis=0)).astype(int)
    assert image[row - 10 : row + 11, column - 10 : column + 11, :3].min(axis=-1).max() < 0.95


def test_grid_draws_every_scan_and_no_temporary_file_stays(arch: Mesh, tmp_path: Path) -> None:
    bare = arch.with_labels(None)
    render_grid(tmp_path / "deep" / "grid.png", [("one", arch, None), ("two", bare, None)], columns=2, size=2)
    image = imread(tmp_path / "deep" / "grid.png")
    assert image.shape[:2] == (200, 400)
    inked = image[30:, :, :3].min(axis=-1) < 0.9
    assert inked[:, :200].mean() > 0.1 and inked[:, 200:].mean() > 0.1
    assert len(hue_pixels(image[:, 200:], -1)) > 0.9 * inked[:, 200:].sum()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["grid.png"]


def test_a_grid_takes_colours_of_the_faces(arch: Mesh, tmp_path: Path) -> None:
    blue = np.tile([0.0, 0.0, 1.0], (len(arch.faces), 1))
    render_grid(tmp_path / "a.png", [("", arch, blue)], size=2, sides=False)
    red, _, shown = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3).T
    assert ((red == 0) & (shown > 50)).sum() > 2000
    for wrong in (blue * 255, blue[:-1], blue[:, :2], blue - 1, blue * np.nan):
        with pytest.raises(ConfigError, match=r"expected colours \[\d+, 3\] from 0 to 1"):
            render_grid(tmp_path / "b.png", [("", arch, wrong)])


def test_what_cannot_be_drawn_is_refused(arch: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(ConfigError, match="expected a view out of occlusal, front, side, got 'top'"):
        render(path, arch, views=("top",))
    with pytest.raises(ConfigError, match="expected 1 or more views"):
        render(path, arch, views=())
    with pytest.raises(ConfigError, match=f"expected {len(arch.faces)} labels"):
        render(path, arch, np.zeros(3, dtype=int))
    with pytest.raises(ConfigError, match="no faces"):
        render(path, Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int)))
    with pytest.raises(ConfigError, match="at least one scan"):
        render_grid(path, [])
    assert not path.exists()


def test_thumbnail_shows_each_tooth_where_it_is(arch: Mesh) -> None:
    """The patient's right on the left, upper incisors at the top and lower ones at the bottom."""

    def drawn(teeth: np.ndarray) -> np.ndarray:
        content = thumbnail(arch, np.where(teeth, arch.labels, 0), size=120)
        assert len(content) < 8_000
        return imread(BytesIO(content), format="webp") / 255

    everything = drawn(arch.labels > 0)
    assert everything.shape == (120, 120, 4) and 0.3 < (everything[..., 3] > 0).mean() < 0.9
    places = []
    for tooth in (16, 26, 11) if arch.jaw == 0 else (46, 36, 41):
        changed = np.abs(everything - drawn(arch.labels != tooth)).max(axis=2) > 0.15
        places.append(np.median(np.argwhere(changed), axis=0))
    right, left, front = places
    assert right[1] < 40 and left[1] > 80
    assert front[0] < right[0] - 20 if arch.jaw == 0 else front[0] > right[0] + 20


def test_thumbnails_of_a_coarse_mesh_have_no_holes(arch: Mesh) -> None:
    """Of the pixels with all their neighbours in the picture."""
    shown = imread(BytesIO(thumbnail(arch.with_labels(None))), format="webp")[..., 3] > 0
    around = sum(np.roll(shown, step, axis).astype(int) for axis in (0, 1) for step in (1, -1))
    assert (shown | (around < 4)).mean() > 0.9999


def test_a_thumbnail_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no faces"):
        thumbnail(Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int)))
