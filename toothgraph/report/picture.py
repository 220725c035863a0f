"""Pictures of labelled scans: orthographic views with flat shading, drawn from back to front."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import Patch

from toothgraph.anatomy.colours import colours
from toothgraph.anatomy.frame import CAMERAS, jaw_shown, patient_axes
from toothgraph.errors import ConfigError
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW, UPPER, check_fdi
from toothgraph.mesh.mesh import Mesh
from toothgraph.system.files import atomic_path

VIEWS = ("occlusal", "front", "side")
_DPI = 100
_LIGHT = np.array([-0.35, 0.5, 0.8]) / np.linalg.norm([0.35, 0.5, 0.8])  # right, up, to the viewer
_ENDS = {"side": ("back", "front")}  # what lies at the left and right edge; in other views the patient's R and L


def camera(mesh: Mesh, labels: np.ndarray | None, view: str) -> np.ndarray:
    """Right, up and viewer directions of a picture, in the coordinates of the mesh. [3, 3].

    All views show the patient's right on the left of the picture, and crowns of an upper jaw point down. ``"side"`` is
    the patient's right side.

    Raises:
        ConfigError: for an unknown view.
    """
    bite = "upper bite" if jaw_shown(mesh, labels) == UPPER else "lower bite"
    names = {"occlusal": bite, "front": "front", "side": "right"}
    if view not in names:
        raise ConfigError(f"expected a view out of {', '.join(VIEWS)}, got {view!r}")
    return np.array(CAMERAS[names[view]], dtype=np.float64) @ patient_axes(mesh, labels)


def _paint(axes: Axes, mesh: Mesh, labels: np.ndarray | None, view: str, rgb: np.ndarray | None = None) -> None:
    """Draw the faces that face the camera, farthest first, in the colours of their labels or in ``rgb`` [F, 3]."""
    right_up_eye = camera(mesh, labels, view)
    seen = np.flatnonzero(mesh.normals @ right_up_eye[2] > 0)
    seen = seen[np.argsort(mesh.centroids[seen] @ right_up_eye[2])]
    of_labels = colours(np.full(len(mesh.faces), -1) if labels is None else labels) / 255.0
    base = (of_labels if rgb is None else rgb)[seen]
    light = right_up_eye.T @ _LIGHT
    shade = 0.35 + 0.65 * np.clip(mesh.normals[seen] @ light, 0.0, 1.0)
    # corners -> picture plane: [seen, 3 corners, 2]
    flat = mesh.corners[seen] @ right_up_eye[:2].T
    axes.add_collection(PolyCollection(flat, facecolors=base * shade[:, None], edgecolors="none", antialiaseds=False))
    # The limits come from the whole mesh, so that they do not depend on hidden faces.
    whole = mesh.vertices @ right_up_eye[:2].T
    low, high = whole.min(axis=0) - 1.0, whole.max(axis=0) + 1.0
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()


def _name_sides(axes: Axes, mesh: Mesh, labels: np.ndarray | None, view: str) -> None:
    """Write what lies at the left and at the right edge.

    Nothing is written for an unknown jaw, since its left and right are not known.
    """
    if jaw_shown(mesh, labels) == UNKNOWN_JAW:
        return
    left, right = _ENDS.get(view, ("R", "L"))
    axes.text(0.01, 1.0, left, transform=axes.transAxes, ha="left", va="bottom", fontsize=9, color="0.35")
    axes.text(0.99, 1.0, right, transform=axes.transAxes, ha="right", va="bottom", fontsize=9, color="0.35")


def _checked(mesh: Mesh, labels: np.ndarray | None) -> np.ndarray | None:
    """The labels to draw: those given, or else those of the mesh."""
    chosen = mesh.labels if labels is None else np.asarray(labels)
    if not len(mesh.faces):
        raise ConfigError(f"{mesh.scan_id}: expected a mesh with faces to draw, found no faces")
    if chosen is not None and chosen.shape != (len(mesh.faces),):
        raise ConfigError(f"{mesh.scan_id}: expected {len(mesh.faces)} labels, one per face, got {chosen.shape}")
    if chosen is not None:
        chosen = check_fdi(chosen, where=mesh.scan_id)
    return chosen


def _legend(figure: Figure, labels: np.ndarray | None) -> None:
    """A row of colour patches along the lower edge, one per tooth."""
    teeth = np.unique(labels[labels > 0]) if labels is not None else np.empty(0, dtype=int)
    if not len(teeth):
        return
    handles = [
        Patch(color=colour / 255.0, label=str(tooth)) for tooth, colour in zip(teeth, colours(teeth), strict=True)
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncol=16,
        fontsize=8,
        frameon=False,
        handlelength=1,
        columnspacing=1,
    )


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG. The file is written completely or not at all."""
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def pixels(figure: Figure) -> np.ndarray:
    """A figure as an image. [height, width, 3] uint8"""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def render(
    path: str | Path,
    mesh: Mesh,
    labels: np.ndarray | None = None,
    *,
    views: Sequence[str] = VIEWS,
    title: str | None = None,
    size: float = 4.5,
) -> None:
    """Write a PNG picture of one scan: teeth coloured by FDI number, views side by side, as a clinician sees them.

    Args:
        path: the PNG file.
        mesh: F faces.
        labels: [F] FDI numbers for the colours; the mesh's own if None, grey if it has none.
        views: any of ``"occlusal"``, ``"front"``, ``"side"``.
        title: a line above the views.
        size: width and height of one view in inches, at 100 dpi.

    Raises:
        ConfigError: for an unknown view, labels of another length, or a mesh without faces.
        LabelError: for labels that are no FDI numbers.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> render("arch.png", synthetic_arch(1, jaw=0, faces=2000), views=["occlusal"])
    """
    labels = _checked(mesh, labels)
    if not views:
        raise ConfigError(f"expected 1 or more views out of {', '.join(VIEWS)}, got none")
    figure = Figure(figsize=(size * len(views), size + 0.5), dpi=_DPI)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.09, top=0.93, wspace=0.02)
    for column, view in enumerate(views):
        axes = figure.add_subplot(1, len(views), column + 1)
        _paint(axes, mesh, labels, view)
        _name_sides(axes, mesh, labels, view)
    _legend(figure, labels)
    if title:
        figure.suptitle(title, fontsize=10)
    save_png(figure, path)


def render_jaws(path: str | Path, jaws: Sequence[tuple[Mesh, np.ndarray]], *, title: str | None = None) -> None:
    """Write a PNG picture of one scan as :func:`render` does, or of both jaws in occlusal view.

    Args:
        path: the PNG file.
        jaws: (mesh, [F] FDI numbers) of one scan, or of both jaws.
        title: a line above.

    Raises:
        ConfigError: see :func:`render`.
    """
    if len(jaws) == 1:
        render(path, *jaws[0], title=title)
        return
    names = (f"{title or mesh.scan_id}: {JAW_NAMES[jaw_shown(mesh, labels)]} jaw" for mesh, labels in jaws)
    render_grid(path, [(name, *jaw) for name, jaw in zip(names, jaws, strict=True)], columns=2, size=4.5)


def render_grid(
    path: str | Path,
    arches: Sequence[tuple[str, Mesh, np.ndarray | None]],
    *,
    columns: int | None = None,
    size: float = 3.0,
    sides: bool = True,
) -> None:
    """Write a PNG picture of many scans in occlusal view, to compare arches or to review the worst cases.

    Args:
        path: the PNG file.
        arches, columns, size, sides: see :func:`draw_grid`.

    Raises:
        ConfigError: see :func:`draw_grid`.
    """
    save_png(draw_grid(arches, columns=columns, size=size, sides=sides), path)


def draw_grid(
    arches: Sequence[tuple[str, Mesh, np.ndarray | None]],
    *,
    columns: int | None = None,
    size: float = 3.0,
    sides: bool = True,
) -> Figure:
    """Draw many scans in occlusal view.

    Args:
        arches: for each scan its title, the mesh, and labels [F], or colours [F, 3] from 0 to 1, or None for the
            mesh's own labels.
        columns: pictures per row; if None, the grid is about square.
        size: width and height of one picture in inches, at 100 dpi.
        sides: write R and L, the patient's right and left, into each picture.

    Raises:
        ConfigError: for an empty list, labels or colours of another length or range, or a mesh without faces.
        LabelError: for labels that are no FDI numbers.
    """
    if not arches:
        raise ConfigError("expected at least one scan to draw, got none")
    columns = columns or ceil(sqrt(len(arches)))
    rows = ceil(len(arches) / columns)
    figure = Figure(figsize=(size * columns, size * rows), dpi=_DPI)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.2 / (size * rows), wspace=0.03, hspace=0.1)
    for index, (title, mesh, labels) in enumerate(arches):
        axes = figure.add_subplot(rows, columns, index + 1)
        rgb = np.asarray(labels) if labels is not None and np.ndim(labels) > 1 else None
        if rgb is not None and (rgb.shape != (len(mesh.faces), 3) or not (rgb.min() >= 0 and rgb.max() <= 1)):
            raise ConfigError(f"{mesh.scan_id}: expected colours [{len(mesh.faces)}, 3] from 0 to 1, got {rgb.shape}")
        shown = _checked(mesh, labels if rgb is None else None)
        _paint(axes, mesh, shown, "occlusal", rgb)
        if sides:
            _name_sides(axes, mesh, shown, "occlusal")
        axes.set_title(title, fontsize=8, pad=2)
    return figure


_SAMPLES = 10  # points on the surface per pixel of a thumbnail
_DEPTH = 0.6  # mm; points this far below the highest point of a pixel still colour it


def thumbnail_text(mesh: Mesh, labels: np.ndarray | None = None) -> str:
    """The :func:`thumbnail` in base64, as pages and logs store it."""
    return base64.b64encode(thumbnail(mesh, labels)).decode("ascii")


def thumbnail(mesh: Mesh, labels: np.ndarray | None = None, *, size: int = 160) -> bytes:
    """A small picture of a scan in occlusal view, without background, as the content of a WebP file.

    It is drawn from points on the surface, so a large mesh takes hardly longer than a small one. It has about 5 kB.

    Args:
        mesh: F faces.
        labels: [F] FDI numbers for the colours; the mesh's own if None, grey if it has none.
        size: width and height in pixels.

    Raises:
        ConfigError: for labels of another length, or a mesh without faces.
        LabelError: for labels that are no FDI numbers.
    """
    labels = _checked(mesh, labels)
    right_up_eye = camera(mesh, labels, "occlusal")
    rng = np.random.default_rng(0)
    area = np.cumsum(mesh.areas * (mesh.normals @ right_up_eye[2] > 0) + 1e-12)
    face = np.searchsorted(area, area[-1] * rng.random(_SAMPLES * size * size))
    a, b = np.sqrt(rng.random((len(face), 1))), rng.random((len(face), 1))
    corners = mesh.corners[face] @ right_up_eye.T
    points = (1 - a) * corners[:, 0] + a * (1 - b) * corners[:, 1] + a * b * corners[:, 2]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    column, row = (((points[:, :2] - (low + high) / 2) / (high - low).max() * (size - 1)).round() + size // 2).T
    pixel = np.clip(size - 1 - row, 0, size - 1).astype(int) * size + np.clip(column, 0, size - 1).astype(int)
    top = np.full(size * size, -np.inf)
    np.maximum.at(top, pixel, points[:, 2])
    seen = points[:, 2] > top[pixel] - _DEPTH
    base = colours(np.full(len(mesh.faces), -1) if labels is None else labels)[face[seen]]
    light = np.clip(mesh.normals[face[seen]] @ (right_up_eye.T @ _LIGHT), 0.0, 1.0)
    lit = base * (0.35 + 0.65 * light)[:, None]
    count = np.bincount(pixel[seen], minlength=size * size)
    image = np.zeros((size * size, 4), dtype=np.uint8)
    for channel in range(3):
        image[:, channel] = np.bincount(pixel[seen], lit[:, channel], size * size) / np.maximum(count, 1)
    image[:, 3] = np.where(count > 0, 255, 0)
    content = io.BytesIO()
    imsave(content, image.reshape(size, size, 4), format="webp", pil_kwargs={"quality": 80})
    return content.getvalue()
