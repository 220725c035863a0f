"""Pictures of labelled scans: flat-shaded orthographic views, painted from back to front."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.spatial import cKDTree

from toothgraph.errors import ConfigError
from toothgraph.files import atomic_path
from toothgraph.mesh.colours import colours
from toothgraph.mesh.frame import bite_directions, upright_rotation
from toothgraph.mesh.mesh import Mesh

VIEWS = ("occlusal", "front", "side")
_DPI = 100
_PLACES = 800  # points that the search for the plane of symmetry looks at


def viewing_frame(mesh: Mesh, labels: np.ndarray | None = None) -> np.ndarray:
    """Forward, rightward (seen from the bite) and occlusal directions of an arch. [3, 3], rows orthonormal.

    By the teeth, if the mesh's own labels or those given show four or more; else by the shape. Occlusal then is the
    area-weighted mean normal, of a closed surface its thinnest axis. Forward lies in the plane across it, in the plane
    about which the surface mirrors best, and points to the narrow (incisor) end. Good enough for looking; a one-sided
    arch comes out a little turned.
    """
    for known in (mesh.labels, labels):  # its own first: truth and prediction are seen from one side
        rotation = None if known is None else upright_rotation(mesh.with_labels(known))
        if rotation is not None:
            return rotation[[0, 2, 1]]
    return _frame_of_shape(mesh)


def _frame_of_shape(mesh: Mesh) -> np.ndarray:
    weights = mesh.areas / max(mesh.areas.sum(), 1e-300)
    centred = mesh.centroids - weights @ mesh.centroids
    up = bite_directions(mesh)[0]
    flat = centred - np.outer(centred @ up, up)
    first = np.linalg.eigh(flat.T @ (flat * weights[:, None]))[1][:, -1]
    angles = np.radians(np.arange(0.0, 180.0, 2.0))
    axes = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * np.cross(up, first)
    # Places spread evenly over the area, so that dense crowns do not count more than gum.
    even = np.searchsorted(np.cumsum(weights), (np.arange(_PLACES) + 0.5) / _PLACES)
    places = centred[np.minimum(even, len(centred) - 1)]
    across = np.cross(up, axes)
    # each axis mirrors all places: [axes, places, 3]
    mirrored = places[None] - 2.0 * (across @ places.T)[:, :, None] * across[:, None, :]
    misfit = cKDTree(places).query(mirrored)[0].mean(axis=1)
    forward = _towards_narrow_end(flat, axes[misfit.argmin()], weights)
    return np.stack([forward, np.cross(forward, up), up])


def _towards_narrow_end(flat: np.ndarray, axis: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``axis``, signed towards the end where the arch closes."""
    along = flat @ axis
    width = np.linalg.norm(flat - np.outer(along, axis), axis=1)
    return -axis if weights @ (along * width**2) > 0 else axis


def _camera(frame: np.ndarray, view: str) -> np.ndarray:
    """Picture-right, picture-up and towards-the-eye directions of a view. [3, 3]."""
    forward, right, up = frame
    cameras = {
        "occlusal": (right, forward, up),
        "front": (-right, up, forward),
        "side": (forward, up, right),
    }
    if view not in cameras:
        raise ConfigError(f"expected a view out of {', '.join(VIEWS)}, got {view!r}")
    return np.stack(cameras[view])


def _paint(axes: Axes, mesh: Mesh, labels: np.ndarray | None, camera: np.ndarray) -> None:
    """Draw the faces that look at the camera, farthest first."""
    seen = np.flatnonzero(mesh.normals @ camera[2] > 0)
    seen = seen[np.argsort(mesh.centroids[seen] @ camera[2])]
    base = colours(np.full(len(mesh.faces), -1) if labels is None else labels)[seen] / 255.0
    light = camera.T @ (np.array([-0.35, 0.5, 0.8]) / np.linalg.norm([0.35, 0.5, 0.8]))
    shade = 0.35 + 0.65 * np.clip(mesh.normals[seen] @ light, 0.0, 1.0)
    # corners -> picture plane: [seen, 3 corners, 2]
    flat = mesh.corners[seen] @ camera[:2].T
    axes.add_collection(PolyCollection(flat, facecolors=base * shade[:, None], edgecolors="none", antialiaseds=False))
    # The frame comes from the whole mesh, so that a picture does not jump with what is hidden.
    whole = mesh.vertices @ camera[:2].T
    low, high = whole.min(axis=0) - 1.0, whole.max(axis=0) + 1.0
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_axis_off()


def _checked(mesh: Mesh, labels: np.ndarray | None) -> np.ndarray | None:
    """The labels to draw: those given, else the mesh's own."""
    chosen = mesh.labels if labels is None else np.asarray(labels)
    if not len(mesh.faces):
        raise ConfigError(f"{mesh.scan_id}: nothing to draw, the mesh has no faces")
    if chosen is not None and chosen.shape != (len(mesh.faces),):
        raise ConfigError(f"{mesh.scan_id}: expected {len(mesh.faces)} labels, one per face, got {chosen.shape}")
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


def _save(figure: Figure, path: str | Path) -> None:
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def render(
    path: str | Path,
    mesh: Mesh,
    labels: np.ndarray | None = None,
    *,
    views: Sequence[str] = VIEWS,
    title: str | None = None,
    size: float = 4.5,
) -> None:
    """Write a PNG of one scan, its teeth coloured by FDI number, the views side by side.

    Args:
        path: the PNG to write.
        mesh: the surface.
        labels: [F] FDI numbers to colour by; the mesh's own if None, grey if it has none.
        views: any of ``"occlusal"``, ``"front"``, ``"side"``.
        title: a line above the views.
        size: width and height of one view, inches at 100 dots each.

    Raises:
        ConfigError: for an unknown view, labels that do not fit, or a mesh without faces.
    """
    labels = _checked(mesh, labels)
    if not views:
        raise ConfigError(f"expected 1 or more views out of {', '.join(VIEWS)}, got none")
    frame = viewing_frame(mesh, labels)
    figure = Figure(figsize=(size * len(views), size + 0.5), dpi=_DPI)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.09, top=0.93, wspace=0.02)
    for column, view in enumerate(views):
        _paint(figure.add_subplot(1, len(views), column + 1), mesh, labels, _camera(frame, view))
    _legend(figure, labels)
    if title:
        figure.suptitle(title, fontsize=10)
    _save(figure, path)


def render_grid(
    path: str | Path,
    arches: Sequence[tuple[str, Mesh, np.ndarray | None]],
    *,
    columns: int | None = None,
    size: float = 3.0,
) -> None:
    """Write a PNG of many scans seen from the bite, for leafing through arches or worst cases.

    Args:
        path: the PNG to write.
        arches: (title, mesh, labels or None for the mesh's own) for each scan.
        columns: pictures in a row; about square if None.
        size: width and height of one picture, inches at 100 dots each.

    Raises:
        ConfigError: for an empty list, labels that do not fit, or a mesh without faces.
    """
    if not arches:
        raise ConfigError("expected at least one scan to draw, got none")
    columns = columns or ceil(sqrt(len(arches)))
    rows = ceil(len(arches) / columns)
    figure = Figure(figsize=(size * columns, size * rows), dpi=_DPI)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.2 / (size * rows), wspace=0.03, hspace=0.1)
    for index, (title, mesh, labels) in enumerate(arches):
        axes = figure.add_subplot(rows, columns, index + 1)
        shown = _checked(mesh, labels)
        _paint(axes, mesh, shown, _camera(viewing_frame(mesh, shown), "occlusal"))
        axes.set_title(title, fontsize=8, pad=2)
    _save(figure, path)
