"""Augmentation of a face graph: rotation, translation, scale, stretch, elastic deformation, mirror and jitter."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError, check_kind, check_number
from toothgraph.fdi import (
    JAW_NAMES,
    UNKNOWN_JAW,
    check_classes,
    class_to_fdi,
    jaw_of_labels,
    mirror_classes,
)
from toothgraph.graph.fields import check_graph
from toothgraph.mesh.checks import check_generator
from toothgraph.transforms.base import RandomTransform

ROUNDING = 1e-6  # mm², twice the area of a face; the float32 corners of a smaller face give no normal
_MIRROR_CLASS = torch.from_numpy(mirror_classes())


@dataclass(frozen=True)
class Augmentation:
    """Strength of each augmentation.

    Attributes:
        rotation: degrees about a random axis; 180 means a uniformly random rotation.
        scale: maximum relative change of size.
        stretch: maximum relative change of length along each axis of the scan, in addition to ``scale``.
        elastic: mm, standard deviation of a smooth random displacement of the surface (:class:`ElasticField`).
        translation: mm, standard deviation per axis.
        jitter: mm, standard deviation of noise on node positions, clipped at three standard deviations.
        normal_jitter: standard deviation of noise on each component of a normal, before normalisation.
        mirror: probability of a left-right mirror image; labels change sides, too.

    Raises:
        ConfigError: for a strength below 0, a relative change of 1 or more, or a probability above 1.
    """

    rotation: float = 180.0
    scale: float = 0.1
    stretch: float = 0.0
    elastic: float = 0.0
    translation: float = 2.0
    jitter: float = 0.05
    normal_jitter: float = 0.03
    mirror: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_number(f"{name} of an augmentation", value, least=0, most=1 if name == "mirror" else None)
        for name in ("scale", "stretch"):  # 1 or more could turn the surface inside out
            if getattr(self, name) >= 1:
                raise ConfigError(f"expected {name} of an augmentation below 1, got {getattr(self, name)!r}")


STILL = Augmentation(rotation=0.0, scale=0.0, translation=0.0, jitter=0.0, normal_jitter=0.0)


def random_rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """A random rotation [3, 3]: uniform for 180°, else about a random axis by an angle up to ``degrees``."""
    if degrees >= 180:
        return Rotation.from_quat(rng.normal(size=4)).as_matrix()
    axis = rng.normal(size=3)
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


class ElasticField:
    """A smooth random displacement field: a few plane waves with wavelengths of 30 to 80 mm.

    It changes the width and depth of arches and the relative size of teeth. With a displacement of 1 mm, lengths of
    some millimetres change by about 10 %.

    Args:
        rng: random generator for the waves.
        sigma: mm, standard deviation of the displacement along each axis.
    """

    COUNT = 6
    LENGTHS = (30.0, 80.0)  # mm

    def __init__(self, rng: np.random.Generator, sigma: float) -> None:
        direction = rng.normal(size=(self.COUNT, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        vectors = 2 * np.pi * direction / rng.uniform(*self.LENGTHS, size=(self.COUNT, 1))
        self.vectors = torch.from_numpy(vectors.astype(np.float32))  # [W, 3], per mm
        self.phases = torch.from_numpy(rng.uniform(0, 2 * np.pi, size=self.COUNT).astype(np.float32))
        shifts = rng.normal(size=(self.COUNT, 3)) * sigma * np.sqrt(2 / self.COUNT)  # the mean of sin² is 1/2
        self.shifts = torch.from_numpy(shifts.astype(np.float32))  # [W, 3], mm

    def __call__(self, points: Tensor) -> Tensor:
        """Displacements [..., 3] of points [..., 3], mm, in the precision of the points."""
        vectors, phases, shifts = (part.to(points.dtype) for part in (self.vectors, self.phases, self.shifts))
        return torch.sin(points @ vectors.T + phases) @ shifts


def _noise(rng: np.random.Generator, like: Tensor, sigma: float) -> Tensor:
    drawn = (sigma * rng.standard_normal(like.shape).clip(-3, 3)).astype(np.float32)
    return torch.from_numpy(drawn).to(like.dtype)


def augment(data: Data, rng: np.random.Generator, how: Augmentation, *, exchange: bool = True) -> Data:
    """An augmented copy of a face graph.

    ``x``, ``pos``, ``normal`` and ``area`` stay consistent; tables and edges are shared with the input. First the
    corners are moved, then normals and areas are computed from them. A face without area keeps its normal, rotated with
    the graph. In a mirror image two corners are swapped, so that the winding still gives outward normals. Shapes are
    those of :func:`toothgraph.graph.face_graph`.

    Args:
        data: the graph.
        rng: random generator.
        how: strength of each part.
        exchange: whether ``y`` are the 33 classes of teeth, which change sides in a mirror image; see
            :class:`MirrorArch`. If False, ``y`` is not changed.

    Raises:
        ShapeError: for a graph without ``x`` [N, 15], or without a random generator. If a mirror image is possible and
            ``exchange`` is True, also for ``y`` that are no classes of the nodes.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> moved = augment(graph, np.random.default_rng(0), Augmentation(scale=0, jitter=0, normal_jitter=0))
        >>> torch.allclose(moved.area, graph.area, rtol=1e-2), torch.allclose(moved.pos, graph.pos)
        (True, False)
    """
    check_graph(data, "x")
    check_generator(rng)
    check_kind("how", how, Augmentation)
    exchange = exchange and how.mirror > 0 and data.get("y") is not None
    if exchange:  # checked in each call, not only if a mirror image is drawn
        _check_teeth(data)
    # 1. Rotate, scale, mirror: linear maps of position and corners.
    matrix = random_rotation(rng, how.rotation)
    matrix = matrix * (1 + rng.uniform(-how.scale, how.scale)) * (1 + rng.uniform(-1, 1, size=3) * how.stretch)
    shift = torch.from_numpy((rng.normal(size=3) * how.translation).astype(np.float32)).to(data.x.dtype)
    mirrored = bool(rng.uniform() < how.mirror)
    vectors = data.x[:, :12].view(-1, 4, 3)  # position, three corner offsets
    if mirrored:
        matrix = matrix * np.array([1.0, 1.0, -1.0])  # the reflection of z is applied first
        vectors = vectors[:, [0, 1, 3, 2]]
    turn = torch.from_numpy(matrix.T.astype(np.float32)).to(data.x.dtype)  # rows: v @ turn
    vectors = vectors @ turn
    pos, offsets = vectors[:, 0], vectors[:, 1:]
    # 2. Elastic displacement of the corners.
    if how.elastic > 0:
        displaced = ElasticField(rng, how.elastic)(pos[:, None] + offsets)  # [N, 3 corners, 3]
        centre = displaced.mean(dim=1)
        pos, offsets = pos + centre, offsets + displaced - centre[:, None]
    doubled = torch.linalg.cross(offsets[:, 1] - offsets[:, 0], offsets[:, 2] - offsets[:, 0])

    # 3. Translation and noise; normals and areas from the corners.
    pos = pos + shift + _noise(rng, pos, how.jitter)
    upright = torch.where(doubled.norm(dim=1, keepdim=True) > ROUNDING, doubled, data.x[:, 12:] @ turn)
    normal = normalize(normalize(upright, dim=1) + _noise(rng, doubled, how.normal_jitter), dim=1)
    out = Data(**dict(data.items()))
    out.x = torch.cat([pos, offsets.flatten(1), normal], dim=1)
    out.pos, out.normal, out.area = pos, normal, doubled.norm(dim=1) / 2
    if mirrored and exchange:
        y = data.y.long()  # as int64, since an index of uint8 would be a mask
        out.y = torch.where(y >= 0, _MIRROR_CLASS[y.clamp_min(0)], y).to(data.y.dtype)
    return out


def _check_teeth(data: Data) -> None:
    """Raise ShapeError if ``y`` are no classes of teeth [N]: a mirror image could not exchange left and right."""
    y = data.y
    whole = isinstance(y, Tensor) and not y.is_floating_point() and y.dtype != torch.bool
    if not whole or y.shape != (data.num_nodes,):
        found = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ShapeError(
            f"expected y as classes of teeth [N = {data.num_nodes}], which change sides in a mirror image, got "
            f"{found}; give exchange=False for y of another kind, which then stay as they are"
        )
    check_classes(y.numpy(), "y")


MIRROR = "a mirror image exchanges left and right: for labels of your own, give exchange=False"


def warn_of_own_classes(graph: Data, what: str = MIRROR) -> None:
    """Warn if ``y`` are probably not classes of teeth, but a user's own labels, which also are small numbers.

    This is so if they are classes of teeth of the other jaw than that of the scan. ``what`` is the end of the warning:
    what the transform does with ``y``, and what to do.

    Raises:
        ShapeError: if ``y`` are no classes.
    """
    y, jaw = graph.get("y"), graph.get("jaw")
    if not isinstance(y, Tensor) or y.is_floating_point() or not isinstance(jaw, Tensor) or jaw.numel() != 1:
        return
    check_classes(y.numpy(), "y")
    found = jaw_of_labels(class_to_fdi(y.numpy()))
    if UNKNOWN_JAW not in (found, int(jaw)) and found != int(jaw):
        warnings.warn(
            f"expected y of classes of {JAW_NAMES[int(jaw)]} teeth, as the jaw of the scan is, found those of "
            f"{JAW_NAMES[found]} teeth; {what}",
            stacklevel=5,
        )


@dataclass(eq=False)
class Augment(RandomTransform):
    """The augmentation of training, see :func:`augment`.

    Args:
        how: strength of each part.
        exchange: whether ``y`` are the 33 classes of teeth, which change sides in a mirror image. Give False for labels
            of your own, see :class:`MirrorArch`.
        rng: see :class:`RandomTransform`.

    Shapes:
        - input and output: a graph of :class:`FaceGraph`; edges, tables and labels stay (with ``exchange``, labels
          change sides in a mirror image)

    Raises:
        ShapeError: see :func:`augment`.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> graph = face_graph(synthetic_arch(1, jaw=0, faces=2000))
        >>> smaller = Augment(Augmentation(rotation=0, scale=0.2, translation=0), rng=1)(graph)
        >>> round(float((smaller.area.sum() / graph.area.sum()).sqrt()), 3)
        0.925
    """

    how: Augmentation = Augmentation()
    exchange: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kind("how", self.how, Augmentation)

    def _of_graph(self, graph: Data) -> Data:
        out = augment(graph, self.generator(), self.how, exchange=self.exchange)
        if self.exchange and self.how.mirror > 0:
            warn_of_own_classes(out)
        return out


@dataclass(eq=False)
class MirrorArch(RandomTransform):
    """A left-right mirror image, in which the quadrants change places: tooth 11 becomes 21, and 31 becomes 41.

    ``torch_geometric.transforms.RandomFlip`` changes only the sign of ``pos``: faces, normals and tooth numbers are
    then those of another arch. This is the ``mirror`` of :func:`augment`. The mirror plane goes through the origin and
    is perpendicular to z, the left-right axis in the frame of the networks (:mod:`toothgraph.anatomy.frame`).

    Args:
        p: probability.
        exchange: whether ``y`` are the 33 classes of teeth (:mod:`toothgraph.fdi`), which change sides. Give False for
            labels of your own, such as tooth and gingiva: small numbers look like classes, and 1 (tooth 11) would
            become 9 (tooth 21).
        rng: see :class:`RandomTransform`.

    Shapes:
        - input and output: a graph of :class:`FaceGraph`; with ``exchange``, ``y`` [N] of 0 to 32, -1 for unknown

    Raises:
        ConfigError: for a probability below 0 or above 1.
        ShapeError: in a call with a graph without ``x`` [N, 15], or with ``y`` that are no classes of teeth.

    Example:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> from toothgraph.fdi import class_to_fdi
        >>> right = face_graph(synthetic_arch(1, jaw=0, faces=2000, without=range(21, 29)))
        >>> sorted(set(class_to_fdi(MirrorArch(p=1)(right).y).tolist()))
        [0, 21, 22, 23, 24, 25, 26, 27]
    """

    p: float = 0.5
    exchange: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("p", self.p, least=0, most=1)

    def _of_graph(self, graph: Data) -> Data:
        out = augment(graph, self.generator(), replace(STILL, mirror=self.p), exchange=self.exchange)
        if self.exchange and self.p > 0:
            warn_of_own_classes(out)
        return out
