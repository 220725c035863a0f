"""Prediction for one scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Batch

from toothgraph.data.seeding import sample_rng
from toothgraph.graph.spec import scan_graph
from toothgraph.inference.carry import carry_up
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import LOWER, UNKNOWN_JAW, UPPER, class_to_fdi
from toothgraph.nn.heads import restrict_to_jaw
from toothgraph.nn.model import SegmentationNet

TESSELLATIONS = 3
BASE_SHARE = 4  # faces of the base, as a multiple of what the net works on


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net says of a scan.

    Attributes:
        labels: [F] FDI numbers of the mesh's faces, 0 gingiva.
        confidence: [F] float32, probability of that label.
        jaw: 0 upper, 1 lower; as given, or as predicted.
        jaw_probability: of that jaw; 1 where it was given.
    """

    labels: np.ndarray
    confidence: np.ndarray
    jaw: int
    jaw_probability: float


@torch.inference_mode()
def predict_mesh(
    net: SegmentationNet, mesh: Mesh, jaw: int = UNKNOWN_JAW, tessellations: int = TESSELLATIONS
) -> Prediction:
    """Label every face of a mesh.

    The scan is decimated to the size the net works on, several times and differently; the probabilities
    are averaged on the scan's faces. Of a scan with far more faces than that, a coarser base stands in for
    it, and the average is carried up once. The draws depend on the scan's name alone.

    Args:
        net: in evaluation mode.
        mesh: any size; its labels are not looked at.
        jaw: 0 upper, 1 lower, -1 to let the net decide.
        tessellations: how many decimations to average.
    """
    device = next(net.parameters()).device
    surface = mesh.with_labels(None)
    base = decimate(surface, BASE_SHARE * net.config.graph.faces).mesh
    coarse_meshes, log_probs = [], []
    for number in range(tessellations):
        rng = sample_rng(0, 0, mesh.scan_id, number) if number else None
        graph, decimated = scan_graph(base, net.config.graph, rng)
        graph.jaw = torch.tensor([jaw])
        batch = Batch.from_data_list([graph]).to(device)
        log_probs.append(net(batch, batch.jaw).float().cpu())
        coarse_meshes.append(decimated.mesh)
        if decimated.mesh is base:  # small enough to be used as it is: no other tessellation to draw
            break
    share = 1.0
    if jaw == UNKNOWN_JAW:
        jaw, share = decide_jaw(torch.cat(log_probs))
    probs = [restrict_to_jaw(log_prob, jaw).exp().numpy() for log_prob in log_probs]
    carried = [carry_up(coarse, base, prob) for coarse, prob in zip(coarse_meshes, probs, strict=True)]
    mean = np.stack(carried).mean(axis=0)
    prob = carry_up(base, surface, mean)  # [F, 33]
    best = prob.argmax(axis=1)
    confidence = prob[np.arange(len(best)), best]
    return Prediction(class_to_fdi(best), confidence, jaw, share)


def decide_jaw(log_prob: torch.Tensor) -> tuple[int, float]:
    """The jaw with more tooth probability over all nodes [N, 33], and its share."""
    prob = log_prob.exp()
    upper, lower = float(prob[:, 1:17].sum()), float(prob[:, 17:].sum())
    share = upper / max(upper + lower, 1e-12)
    return (UPPER, share) if share >= 0.5 else (LOWER, 1 - share)
