"""One look: what a net says of one tessellation of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Batch

from toothgraph.fdi import LOWER, UPPER, classes_of_jaw
from toothgraph.graph.spec import scan_graph
from toothgraph.inference.pose import Viewer
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.jaws import restrict_to_jaw
from toothgraph.model.nets import SegmentationNet
from toothgraph.rules import DEFAULT, InterpolationRules, PoseRules
from toothgraph.seeding import sample_rng
from toothgraph.stages import stage


@dataclass(frozen=True, eq=False)
class Look:
    """What a net says of one tessellation.

    Attributes:
        coarse: F' faces.
        log_prob: [F', 33].
        frame: [3, 3], the rotation the scan was turned by.
        sure: how sure the net is of its tooth numbers, see :func:`toothgraph.inference.pose.certainty`.
    """

    coarse: Mesh
    log_prob: torch.Tensor
    frame: np.ndarray
    sure: float

    def interpolated(self, mesh: Mesh, jaw: int, rules: InterpolationRules) -> np.ndarray:
        """Probabilities of the places [F, 17] on a finer mesh of the same surface, given the jaw."""
        prob = restrict_to_jaw(self.log_prob, jaw).exp().numpy()
        return interpolate(self.coarse, mesh, prob[:, classes_of_jaw(jaw)], rules)


def look(
    net: SegmentationNet, mesh: Mesh, jaw: int, number: int, frames: np.ndarray, rules: PoseRules = DEFAULT.pose
) -> Look:
    """Let the net see a mesh in its plain tessellation (``number`` 0) or a drawn one, in the best of some frames."""
    rng = sample_rng(0, 0, mesh.scan_id, number) if number else None
    graph, decimated = scan_graph(mesh, net.config.graph, rng)
    stage("looking for teeth")
    batch = Batch.from_data_list([graph]).to(next(net.parameters()).device)
    viewer = Viewer(net, batch, jaw, rules)
    view = viewer.best(frames) if len(frames) > 1 else viewer.view(frames[0])
    return Look(decimated.mesh, view.log_prob.float().cpu(), view.frame, view.sure)


def decide_jaw(log_prob: torch.Tensor) -> tuple[int, float]:
    """The jaw with more tooth probability over all nodes [N, 33], and its share."""
    prob = log_prob.exp()
    upper, lower = float(prob[:, 1:17].sum()), float(prob[:, 17:].sum())
    share = upper / max(upper + lower, 1e-12)
    return (UPPER, share) if share >= 0.5 else (LOWER, 1 - share)
