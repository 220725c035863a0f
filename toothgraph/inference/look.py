"""One look: what a net says of one tessellation of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from toothgraph.fdi import LOWER, UPPER, classes_of_jaw
from toothgraph.graph.spec import GraphSpec, scan_graph
from toothgraph.inference.pose import Viewer
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.jaws import restrict_to_jaw
from toothgraph.model.nets import SegmentationNet
from toothgraph.rules import DEFAULT, PoseRules
from toothgraph.seeding import sample_rng
from toothgraph.stages import stage


@dataclass(frozen=True, eq=False)
class Tessellation:
    """What a look needs, before the net is asked.

    Attributes:
        graph: of the coarse faces.
        coarse: F' faces.
    """

    graph: Data
    coarse: Mesh


def tessellate(mesh: Mesh, spec: GraphSpec, number: int) -> Tessellation:
    """A mesh in its plain tessellation (``number`` 0) or a drawn one."""
    rng = sample_rng(0, 0, mesh.scan_id, number) if number else None
    graph, decimated = scan_graph(mesh, spec, rng, workers=torch.get_num_threads())
    return Tessellation(graph, decimated.mesh)


@dataclass(frozen=True, eq=False)
class Look:
    """What a net says of one tessellation.

    Attributes:
        seen: the tessellation, of F' faces.
        log_prob: [F', 33].
        frame: [3, 3], the rotation the scan was turned by.
        sure: how sure the net is of its tooth numbers, see :func:`toothgraph.inference.pose.certainty`.
    """

    seen: Tessellation
    log_prob: torch.Tensor
    frame: np.ndarray
    sure: float

    def places(self, jaw: int) -> np.ndarray:
        """Probabilities of gingiva and the 16 places of a jaw [F', 17] on the coarse faces, given the jaw."""
        prob: np.ndarray = restrict_to_jaw(self.log_prob, jaw).exp().numpy()[:, classes_of_jaw(jaw)]
        return prob


def look(
    net: SegmentationNet, seen: Tessellation, jaw: int, frames: np.ndarray, rules: PoseRules = DEFAULT.pose
) -> Look:
    """Let the net see a tessellation, in the best of some frames."""
    stage("looking for teeth")
    batch = Batch.from_data_list([seen.graph]).to(next(net.parameters()).device)
    viewer = Viewer(net.in_any_frame(batch, torch.tensor([jaw], device=batch.pos.device)), batch, rules)
    view = viewer.best(frames) if len(frames) > 1 else viewer.view(frames[0])
    return Look(seen, view.log_prob.float().cpu(), view.frame, view.sure)


def decide_jaw(log_prob: torch.Tensor) -> tuple[int, float]:
    """The jaw with more tooth probability over all nodes [N, 33], and its share."""
    prob = log_prob.exp()
    upper, lower = float(prob[:, 1:17].sum()), float(prob[:, 17:].sum())
    share = upper / max(upper + lower, 1e-12)
    return (UPPER, share) if share >= 0.5 else (LOWER, 1 - share)
