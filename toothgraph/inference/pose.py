"""Find the frame of a scan: geometry gives a few candidates, and the teeth found in one show whether it is right."""

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
    """Candidate rotations of a scan into the frame of the net. [K, 3, 3].

    Args:
        mesh: the scan.
        first: [3, 3], the frame to begin with, by default the scan's own. It is left out if the surface is open and its
            opening does not point upwards in this frame.
        rules: how many frames to try, and which ones.
    """
    bite = bite_directions(mesh)
    turns = [frames_about(up, rules.turns) for up in bite]
    upright = len(bite) > 1 or (first @ bite[0])[1] > rules.upright
    return np.concatenate([first[None], *turns] if upright else turns)


def certainty(log_prob: Tensor, area: Tensor) -> float:
    """How sure a net is of its tooth numbers, 0 to 1.

    This is the mean, by area, of how much the likeliest of the 16 places exceeds all others together. A net finds teeth
    in any frame, but it knows their numbers in the right frame only. If the arch is seen from behind, or if left and
    right are confused, the net hesitates.

    Args:
        log_prob: [N, 33] log-probabilities of the classes.
        area: [N] areas of the faces.
    """
    teeth = join_places(log_prob)[:, 1:].exp()
    ahead = (2 * teeth.amax(dim=1) - teeth.sum(dim=1)).clamp_min(0)
    return float((ahead * area).sum() / area.sum().clamp_min(1e-12))


@dataclass(frozen=True, eq=False)
class View:
    """The output of a net for a scan in one frame.

    Attributes:
        frame: [3, 3] rotation.
        log_prob: [N, 33] log-probabilities of the classes.
        sure: how sure the net is of its tooth numbers, see :func:`certainty`.
        asked: [3, 3], the frame that fits the teeth found; None if there are too few teeth.
        teeth: how many positions have the area of a tooth.
    """

    frame: np.ndarray
    log_prob: Tensor
    sure: float
    asked: np.ndarray | None
    teeth: int

    @property
    def off(self) -> float:
        """Degrees between this frame and the frame that fits the teeth found; 180 if there are too few teeth."""
        if self.asked is None:
            return 180.0
        cosine = (np.trace(self.asked @ self.frame.T) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


class Viewer:
    """Shows a scan to a net in any frame.

    Args:
        say: function from a rotation [3, 3] to the log-probabilities [N, 33] of the scan turned by it. See
            :meth:`toothgraph.model.SegmentationNet.in_any_frame`; a net of any other program can be used, too.
        graph: the graph of the scan, or a batch of this graph alone: ``pos`` and ``normal`` [N, 3], ``area`` [N].
        rules: which frames are corrected, and which are accepted.
    """

    def __init__(self, say: Callable[[Tensor], Tensor], graph: Data, rules: PoseRules = DEFAULT.pose) -> None:
        self.say, self.graph, self.rules = say, graph, rules
        self.pos, self.area = graph.pos.cpu().numpy(), graph.area.cpu().numpy()
        self.normal = graph.normal.cpu().numpy()

    def view(self, frame: np.ndarray) -> View:
        """The view of the scan turned by a rotation [3, 3]."""
        log_prob = self.say(torch.from_numpy(frame).to(self.graph.pos))
        place = join_places(log_prob).argmax(dim=1).cpu().numpy()
        shown = np.bincount(place, weights=self.area, minlength=17) >= LEAST
        teeth = int(shown[1:].sum())
        if teeth < self.rules.row:  # in a short row, stray faces would turn the frame
            asked = rotation_to_places(self.pos, np.where(shown[place], place, 0), frame[1])
        else:
            asked = rotation_to_places(self.pos, place)
        return View(frame, log_prob, certainty(log_prob, self.graph.area), asked, teeth)

    def settled(self, frame: np.ndarray) -> View:
        """The view of the scan in a frame, after corrections by the teeth found.

        The scan is turned into the frame that fits its teeth, again and again, until the correction is small. The
        number of corrections is limited, and a very large correction is ignored.
        """
        view = self.view(frame)
        for _ in range(self.rules.corrections):
            if view.asked is None or not self.rules.settled < view.off < self.rules.followed:
                break
            view = self.view(view.asked)
        return view

    def best(self, frames: np.ndarray) -> View:
        """The view of the scan in the best of some frames [K, 3, 3].

        Each frame is first corrected, see :meth:`settled`. The first frame in which the teeth found agree with it is
        taken: laid onto a mean arch, they give nearly the same frame. If the arch is seen from behind, the net may be
        certain, too, with left and right exchanged, but then the teeth give a frame that is turned over. If the teeth
        agree with no frame, the one in which the net is most certain is taken.

        A few teeth fit several places of an arch. And if little gum was scanned, the opening of the surface is not the
        direction of the bite. So with few teeth, the bite is where the crowns face, and the scan is turned about this
        direction.
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
        """The mean unit normal [3] of the faces of a view, weighted by area and by the probability of a tooth."""
        tooth = 1 - view.log_prob[:, 0].exp().cpu().numpy()
        total: np.ndarray = ((tooth * self.area)[:, None] * self.normal).sum(axis=0)
        return total / max(np.linalg.norm(total), 1e-12)
