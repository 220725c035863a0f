"""How a scan lies: a few candidate frames by geometry, and the one the net is most certain in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from toothgraph.mesh.frame import bite_directions, frames_about, rotation_to_places
from toothgraph.mesh.mesh import Mesh
from toothgraph.nn.heads import join_places
from toothgraph.nn.model import SegmentationNet

OWN_FRAME = np.eye(3)[None]  # as the scan lies
AGREE = 60.0  # degrees between a frame and the one its teeth ask for; wrong frames have nearly 180
TURNS = 8  # frames about each direction the bite may be in; the net is sure within about 40° of the right one


def candidate_frames(mesh: Mesh) -> np.ndarray:
    """Rotations into frames the scan may be meant to stand in, its own first. [K, 3, 3]."""
    turns = [frames_about(up, TURNS) for up in bite_directions(mesh)]
    return np.concatenate([OWN_FRAME, *turns])


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
    """

    frame: np.ndarray
    log_prob: Tensor
    sure: float
    asked: np.ndarray | None

    @property
    def agrees(self) -> bool:
        """Whether the teeth ask for nearly this frame."""
        if self.asked is None:
            return False
        cosine = (np.trace(self.asked @ self.frame.T) - 1) / 2
        return bool(cosine > np.cos(np.radians(AGREE)))


def views(net: SegmentationNet, batch: Batch, jaw: Tensor, frames: np.ndarray) -> list[View]:
    """The scan of a batch of one in each of the frames [K, 3, 3]."""
    pos, found = batch.pos.cpu().numpy(), []
    for frame, log_prob in zip(frames, net.in_frames(batch, torch.from_numpy(frames).to(batch.pos), jaw), strict=True):
        place = join_places(log_prob).argmax(dim=1).cpu().numpy()
        found.append(View(frame, log_prob, certainty(log_prob, batch.area), rotation_to_places(pos, place)))
    return found


def best_view(net: SegmentationNet, batch: Batch, jaw: Tensor, frames: np.ndarray) -> View:
    """The scan in the frame where the net knows the teeth best.

    Those frames count first that the teeth found in them agree with: laid onto a mean arch, they ask for nearly the
    same frame. From behind the net may be certain too, with left and right changed, but its teeth then ask for the
    arch to be turned over. Of several frames the best is corrected once by its teeth, if that costs no certainty.

    Args:
        net: in evaluation mode.
        batch: a batch of one scan.
        jaw: [1] 0, 1 or -1.
        frames: [K, 3, 3] rotations to try; of equally good ones the first is taken.
    """
    best = max(views(net, batch, jaw, frames), key=lambda view: (view.agrees, view.sure))
    if len(frames) == 1 or best.asked is None:
        return best
    (corrected,) = views(net, batch, jaw, best.asked[None])
    return corrected if (corrected.agrees, corrected.sure) >= (best.agrees, best.sure) else best
