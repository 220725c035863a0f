"""How a scan lies: a few candidate frames by geometry, and the one that the teeth found in it agree with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from toothgraph.anatomy.frame import bite_directions, frames_about, rotation_to_places
from toothgraph.anatomy.sizes import LEAST
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.jaws import join_places
from toothgraph.rules import DEFAULT, PoseRules

OWN_FRAME = np.eye(3)[None]  # as the scan lies


def candidate_frames(mesh: Mesh, first: np.ndarray = OWN_FRAME[0], rules: PoseRules = DEFAULT.pose) -> np.ndarray:
    """Rotations into frames that may be the scan's. [K, 3, 3].

    Args:
        mesh: the scan.
        first: [3, 3], the frame to begin with, by default the scan's own; left out where it turns the bite downwards.
        rules: how many frames, and which are worth trying.
    """
    bite = bite_directions(mesh)
    turns = [frames_about(up, rules.turns) for up in bite]
    upright = len(bite) > 1 or (first @ bite[0])[1] > rules.upright
    return np.concatenate([first[None], *turns] if upright else turns)


def certainty(log_prob: Tensor, area: Tensor) -> float:
    """How sure a net is of its tooth numbers, 0 to 1.

    By area, how much the likeliest of the 16 places is ahead of all others together. A net finds teeth in any frame
    but knows their numbers in the right one only: from behind, or with left and right confused, it hesitates.

    Args:
        log_prob: [N, 33].
        area: [N].
    """
    teeth = join_places(log_prob)[:, 1:].exp()
    ahead = (2 * teeth.amax(dim=1) - teeth.sum(dim=1)).clamp_min(0)
    return float((ahead * area).sum() / area.sum().clamp_min(1e-12))


@dataclass(frozen=True, eq=False)
class View:
    """A scan in one frame.

    Attributes:
        frame: [3, 3] rotation.
        log_prob: [N, 33], what the net says.
        sure: its :func:`certainty`.
        asked: [3, 3], the frame that the teeth found ask for; None where they are too few.
        teeth: how many positions have the area of a tooth.
    """

    frame: np.ndarray
    log_prob: Tensor
    sure: float
    asked: np.ndarray | None
    teeth: int

    @property
    def off(self) -> float:
        """Degrees from the frame the teeth ask for; 180 where they ask for none."""
        if self.asked is None:
            return 180.0
        cosine = (np.trace(self.asked @ self.frame.T) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


class Viewer:
    """Shows a scan to a net in any frame.

    Args:
        say: what the net says of the scan turned by a rotation: [3, 3] to log-probabilities [N, 33]. See
            :meth:`toothgraph.model.SegmentationNet.in_any_frame`; or a net of any other program.
        graph: of the scan, or a batch of it alone: ``pos`` and ``normal`` [N, 3], ``area`` [N].
        rules: which frames are corrected, and which are right.
    """

    def __init__(self, say: Callable[[Tensor], Tensor], graph: Data, rules: PoseRules = DEFAULT.pose) -> None:
        self.say, self.graph, self.rules = say, graph, rules
        self.pos, self.area = graph.pos.cpu().numpy(), graph.area.cpu().numpy()
        self.normal = graph.normal.cpu().numpy()

    def view(self, frame: np.ndarray) -> View:
        """The scan turned by a rotation [3, 3]."""
        log_prob = self.say(torch.from_numpy(frame).to(self.graph.pos))
        place = join_places(log_prob).argmax(dim=1).cpu().numpy()
        shown = np.bincount(place, weights=self.area, minlength=17) >= LEAST
        teeth = int(shown[1:].sum())
        if teeth < self.rules.row:  # of a short row each stray face would turn the frame
            asked = rotation_to_places(self.pos, np.where(shown[place], place, 0), frame[1])
        else:
            asked = rotation_to_places(self.pos, place)
        return View(frame, log_prob, certainty(log_prob, self.graph.area), asked, teeth)

    def settled(self, frame: np.ndarray) -> View:
        """The scan turned by a rotation, then by what its teeth ask for, until they ask for no more."""
        view = self.view(frame)
        for _ in range(self.rules.corrections):
            if view.asked is None or not self.rules.settled < view.off < self.rules.followed:
                break
            view = self.view(view.asked)
        return view

    def best(self, frames: np.ndarray) -> View:
        """The scan in the first of the frames [K, 3, 3] that leads to one its teeth agree with.

        Laid onto a mean arch, the teeth ask for a frame. From behind, the net may be certain too, with left and right
        exchanged, but its teeth then ask for the arch to be turned over. Where no frame is agreed with, the one
        counts in which the net is most certain.

        A few teeth fit several places of an arch, and where little gum was scanned, its opening is not the bite. Then
        the bite is where the crowns face, and the scan is turned about it.
        """
        tried = []
        for frame in frames:
            view = self.settled(frame)
            if view.off < self.rules.agreed and view.teeth >= self.rules.row:
                return view
            tried.append(view)
        surest = max(tried, key=lambda view: view.sure)
        if len(frames) > 1 and 0 < max(view.teeth for view in tried) < self.rules.row:
            about = frames_about(self.crowns_face(surest), self.rules.turns)
            return max(map(self.view, about), key=lambda view: view.sure)
        return surest

    def crowns_face(self, view: View) -> np.ndarray:
        """The mean unit direction [3] of the faces that a view takes for teeth."""
        tooth = 1 - view.log_prob[:, 0].exp().cpu().numpy()
        total: np.ndarray = ((tooth * self.area)[:, None] * self.normal).sum(axis=0)
        return total / max(np.linalg.norm(total), 1e-12)
