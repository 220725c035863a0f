"""Crowns cut out of labelled graphs, and random variations of them: turned, tilted, stretched, cut short, mirrored."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.anatomy.frame import ALONG
from toothgraph.anatomy.row import POINTS, in_tooth_frames
from toothgraph.anatomy.sizes import LEAST
from toothgraph.fdi import FDI_OF_CLASS, check_classes, class_to_position
from toothgraph.graph.build import face_corners
from toothgraph.mesh.sampling import sample_surface

STRAY = 10.0  # mm from the middle of a tooth; a face farther away is not part of it
BITE = np.array([0.0, 1.0, 0.0])  # towards the bite in the networks' frame

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True, eq=False)
class Crowns:
    """Crowns of any number of scans.

    Attributes:
        points: [N, 1024, 3] float32, mm: along the arch, inwards, towards the bite, from the middle of the crown.
        place: [N] positions 1 … 16.
        jaw: [N] 0 upper, 1 lower.
    """

    points: Tensor
    place: Tensor
    jaw: Tensor

    def __len__(self) -> int:
        return len(self.place)


def crowns_of(graphs: Iterable[Data], rng: np.random.Generator) -> Crowns:
    """Cut crowns out of labelled graphs in the frame of the networks.

    A jaw with fewer than two teeth is left out. A number on patches far apart is no crown: it is left out, and a
    warning in the log names the scan and the tooth.

    Args:
        graphs: graphs with ``x`` [N, 15], ``area`` [N] and ``y`` [N].
        rng: random generator that draws the points.

    Raises:
        ShapeError: for FDI numbers as labels.
    """
    points: list[np.ndarray] = []
    places: list[int] = []
    jaws: list[int] = []
    scattered: dict[str, None] = {}  # an ordered set, since a scan has graphs of several tessellations
    for graph in graphs:
        check_classes(graph.y.numpy(), "y")
        centroids, corners = graph.x[:, :3].numpy().astype(float), face_corners(graph)
        area = graph.area.numpy().astype(float)
        for jaw in (0, 1):
            faces = _faces_of_teeth(graph, jaw)
            for number in [number for number, own in faces.items() if area[own].sum() == 0]:
                del faces[number]
                scattered[f"{graph.get('scan_id', 'a graph')}: tooth {FDI_OF_CLASS[number + 16 * jaw]}"] = None
            if len(faces) < 2:
                continue
            middles = np.stack([np.average(centroids[own], axis=0, weights=area[own]) for own in faces.values()])
            drawn = [sample_surface(corners[own], POINTS, rng) for own in faces.values()]
            points.append(in_tooth_frames(drawn, middles, BITE))
            places += faces
            jaws += [jaw] * len(faces)
    for tooth in scattered:
        _log.warning("%s is no crown: its number is on patches far apart; its shape is not learned", tooth)
    stacked = np.concatenate(points) if points else np.zeros((0, POINTS, 3))
    return Crowns(torch.from_numpy(stacked.astype(np.float32)), torch.tensor(places), torch.tensor(jaws))


def _faces_of_teeth(graph: Data, jaw: int) -> dict[int, np.ndarray]:
    """The faces of each tooth of a jaw that are near its middle, by position, in order along the arch."""
    classes, centroids = graph.y.numpy(), graph.x[:, :3].numpy().astype(float)
    place = np.where((classes > 16) == (jaw == 1), class_to_position(classes), 0)
    size = np.bincount(place, graph.area.numpy().astype(float), 17)
    teeth = [int(number) for number in ALONG if size[number] >= LEAST]
    return {number: _near_middle(centroids, np.flatnonzero(place == number)) for number in teeth}


def _near_middle(points: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The faces ``own`` that are not far from the median of their centroids."""
    near: np.ndarray = own[np.linalg.norm(points[own] - np.median(points[own], axis=0), axis=1) < STRAY]
    return near


def vary(points: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Random variations of crowns, as a net might find them. Values are drawn from torch's generator.

    Crowns are turned by about 13°, tilted by about 7°, stretched and scaled by about 7 %, and get noise. Some are cut
    short at one side, as by a wrong boundary. Half of them are mirrored, with positions of the other side.

    Args:
        points: [B, P, 3].
        place: [B] positions 1 … 16.

    Returns:
        Points [B, P', 3], positions [B], and how much below the tip is visible, [B] mm.
    """
    count = len(points)
    points = points[:, torch.randperm(points.shape[1])[: points.shape[1] * 3 // 4]]
    turn = torch.randn(count, 3) * torch.tensor([0.12, 0.12, 0.22])
    size = (1 + 0.05 * torch.randn(count, 1, 3)) * (1 + 0.05 * torch.randn(count, 1, 1))
    points = points @ rotations(turn).transpose(1, 2) * size + 0.08 * torch.randn_like(points)
    # Cut short: up to 15 % of the points of every second crown move onto its first point.
    side = torch.nn.functional.normalize(torch.randn(count, 2, 1), dim=1)
    along = (points[..., :2] @ side).squeeze(-1)
    kept = 1 - 0.15 * torch.rand(count) * (torch.rand(count) < 0.5)
    limit = along.sort(dim=1).values.gather(1, (kept * (along.shape[1] - 1)).long()[:, None])
    points = torch.where((along <= limit)[..., None], points, points[:, :1])
    mirrored = torch.rand(count) < 0.5
    points = points * torch.where(mirrored[:, None, None], torch.tensor([-1.0, 1.0, 1.0]), torch.ones(3))
    place = torch.where(mirrored, (place + 7) % 16 + 1, place)
    return points, place, 3.0 + 7.0 * torch.rand(count)


def rotations(vectors: Tensor) -> Tensor:
    """Rotation matrices [B, 3, 3] of rotation vectors [B, 3], radians."""
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(skew)
