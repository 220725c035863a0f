"""A look: the output of a net for one tessellation of a scan."""

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
    """The input of a look: one tessellation of a scan.

    Attributes:
        graph: the graph of the coarse faces.
        coarse: the coarse mesh, F' faces.
    """

    graph: Data
    coarse: Mesh


def tessellate(mesh: Mesh, spec: GraphSpec, number: int) -> Tessellation:
    """Tessellate a mesh: without noise for ``number`` 0, else by a random draw with this number."""
    rng = sample_rng(0, 0, mesh.scan_id, number) if number else None
    graph, decimated = scan_graph(mesh, spec, rng, workers=torch.get_num_threads())
    return Tessellation(graph, decimated.mesh)


@dataclass(frozen=True, eq=False)
class Look:
    """The output of a net for one tessellation.

    Attributes:
        seen: the tessellation, of F' faces.
        log_prob: [F', 33] log-probabilities of the classes.
        frame: [3, 3], the rotation by which the scan was turned.
        sure: how sure the net is of its tooth numbers, see :func:`toothgraph.inference.pose.certainty`.
    """

    seen: Tessellation
    log_prob: torch.Tensor
    frame: np.ndarray
    sure: float

    def places(self, jaw: int) -> np.ndarray:
        """Probabilities of gingiva and the 16 places of a given jaw, on the coarse faces. [F', 17]"""
        prob: np.ndarray = restrict_to_jaw(self.log_prob, jaw).exp().numpy()[:, classes_of_jaw(jaw)]
        return prob


def look(
    net: SegmentationNet, seen: Tessellation, jaw: int, frames: np.ndarray, rules: PoseRules = DEFAULT.pose
) -> Look:
    """Apply the net to a tessellation, in the best of the given frames."""
    stage("looking for teeth")
    batch = Batch.from_data_list([seen.graph]).to(next(net.parameters()).device)
    viewer = Viewer(net.in_any_frame(batch, torch.tensor([jaw], device=batch.pos.device)), batch, rules)
    view = viewer.best(frames) if len(frames) > 1 else viewer.view(frames[0])
    return Look(seen, view.log_prob.float().cpu(), view.frame, view.sure)


def decide_jaw(log_prob: torch.Tensor) -> tuple[int, float]:
    """The jaw with the larger sum of tooth probabilities, and its share of the sum; ``log_prob`` is [N, 33]."""
    prob = log_prob.exp()
    upper, lower = float(prob[:, 1:17].sum()), float(prob[:, 17:].sum())
    share = upper / max(upper + lower, 1e-12)
    return (UPPER, share) if share >= 0.5 else (LOWER, 1 - share)
