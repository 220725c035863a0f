"""Prediction for one scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch_geometric.data import Batch

from toothgraph.data.seeding import sample_rng
from toothgraph.graph.spec import scan_graph
from toothgraph.inference.carry import carry_up
from toothgraph.inference.focus import arch_faces
from toothgraph.inference.gaps import past_closed_gaps
from toothgraph.inference.numbering import number_teeth
from toothgraph.inference.pose import OWN_FRAME, Viewer, candidate_frames
from toothgraph.inference.refine import refine
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.frame import TEETH_NEEDED
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.numbering import (
    LOWER,
    UNKNOWN_JAW,
    UPPER,
    class_to_fdi,
    class_to_position,
    classes_of_jaw,
    fdi_to_class,
)
from toothgraph.nn.heads import restrict_to_jaw
from toothgraph.nn.model import SegmentationNet

TESSELLATIONS = 3
BASE_SHARE = 4  # faces of the base, as a multiple of what the net works on


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net says of a scan.

    Attributes:
        labels: [F] FDI numbers of the mesh's faces, 0 gingiva.
        probabilities: [F, 17] float32, of gingiva and of the 16 teeth of the jaw, as the net gives them.
        jaw: 0 upper, 1 lower; as given, or as predicted.
        jaw_probability: of that jaw, as the net sees it; low where it was given and the scan looks like the other.
        past_gap: FDI numbers of the teeth behind a gap that has closed, which by their sizes got the number after the
            net's, see :func:`toothgraph.inference.gaps.past_closed_gaps`.
        inside_out: whether teeth were found only with the faces wound the other way round.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    jaw: int
    jaw_probability: float
    past_gap: tuple[int, ...] = ()
    inside_out: bool = False

    @cached_property
    def confidence(self) -> np.ndarray:
        """[F] float32, probability of each face's label; behind a closed gap, of the number that the net gave it."""
        place = class_to_position(fdi_to_class(self.labels)) - np.isin(self.labels, self.past_gap)
        return self.probabilities[np.arange(len(place)), place]


@torch.inference_mode()
def predict_mesh(
    net: SegmentationNet,
    mesh: Mesh,
    jaw: int = UNKNOWN_JAW,
    tessellations: int = TESSELLATIONS,
    *,
    orient: bool = True,
    focus: bool = True,
    refined: bool = True,
    numbered: bool = True,
) -> Prediction:
    """Label every face of a mesh, however it lies.

    The scan is decimated to the size the net works on, several times and differently; the probabilities
    are averaged on the scan's faces. Of a scan with far more faces than that, a coarser base stands in for
    it, and the average is carried up once. Where the first look finds teeth on a part of the scan only, the
    net looks again, at that part. Then borders move into the folds of the surface, and the teeth are numbered
    along the arch, past gaps that have closed. The draws depend on the scan's name alone. Where fewer than four teeth
    are found, all is done once more with the faces wound the other way round, and counts if that shows four.

    Args:
        net: in evaluation mode.
        mesh: any size; its labels are not looked at.
        jaw: 0 upper, 1 lower, -1 to let the net decide.
        tessellations: how many decimations to average.
        orient: whether to look for the frame the net knows; else the scan must lie in it.
        focus: whether to look again at the part with the teeth.
        refined: whether to move borders into the folds of the surface, see :func:`toothgraph.inference.refine.refine`.
        numbered: whether every number is given once, in order, see
            :func:`toothgraph.inference.numbering.number_teeth`, and a closed gap is counted, see
            :func:`toothgraph.inference.gaps.past_closed_gaps`.
    """
    mesh = mesh.with_labels(None)
    options = (jaw, tessellations, orient, focus, refined, numbered)
    found = _predict(net, mesh, *options)
    if _shows_an_arch(found):
        return found
    other = _predict(net, mesh.inside_out(), *options)
    return replace(other, inside_out=True) if _shows_an_arch(other) else found


def _shows_an_arch(found: Prediction) -> bool:
    return bool((np.unique(found.labels) > 0).sum() >= TEETH_NEEDED)


def _predict(
    net: SegmentationNet,
    mesh: Mesh,
    jaw: int,
    tessellations: int,
    orient: bool,
    focus: bool,
    refined: bool,
    numbered: bool,
) -> Prediction:
    """What :func:`predict_mesh` does with faces wound as they are."""
    prob, jaw, share = probabilities(net, mesh, jaw, tessellations, orient, focus)
    place = refine(mesh, prob) if refined else prob.argmax(axis=1)
    counted = number_teeth(mesh, place, prob, jaw) if numbered else place
    place = past_closed_gaps(mesh, counted) if numbered else counted
    labels = class_to_fdi(classes_of_jaw(jaw)[place])
    return Prediction(labels, prob, jaw, share, tuple(np.unique(labels[place != counted]).tolist()))


def probabilities(
    net: SegmentationNet, mesh: Mesh, jaw: int, tessellations: int, orient: bool, focus: bool
) -> tuple[np.ndarray, int, float]:
    """What the net says of every face, [F, 17] for gingiva and the places 1 … 16; the jaw, and its probability.

    Arguments as in :func:`predict_mesh`.
    """
    base = decimate(mesh, BASE_SHARE * net.config.graph.faces).mesh
    first = look(net, base, jaw, 0, candidate_frames(base) if orient else OWN_FRAME)
    near = arch_faces(first.coarse, first.log_prob[:, 0].exp().numpy(), base) if focus else None
    if near is None:
        arch, looks = base, [first]
    else:
        arch = base.part(near)
        looks = [look(net, arch, jaw, 0, candidate_frames(arch, first.frame) if orient else OWN_FRAME)]
    while len(looks) < tessellations and looks[-1].coarse is not arch:  # of a small scan the next would be the same
        looks.append(look(net, arch, jaw, len(looks), looks[0].frame[None]))
    seen, share = decide_jaw(torch.cat([one.log_prob for one in looks]))
    if jaw == UNKNOWN_JAW:
        jaw = seen
    elif jaw != seen:
        share = 1 - share
    prob = np.mean([one.carried(arch, jaw) for one in looks], axis=0)  # [F of arch, 17]
    if near is not None:
        whole = first.carried(base, jaw)
        whole[near] = prob
        prob = whole
    return carry_up(base, mesh, prob), jaw, share


@dataclass(frozen=True, eq=False)
class Look:
    """What a net says of one tessellation.

    Attributes:
        coarse: F' faces.
        log_prob: [F', 33].
        frame: [3, 3], the rotation the scan was turned by.
    """

    coarse: Mesh
    log_prob: torch.Tensor
    frame: np.ndarray

    def carried(self, mesh: Mesh, jaw: int) -> np.ndarray:
        """Probabilities of the places [F, 17] on a finer mesh of the same surface, given the jaw."""
        prob = restrict_to_jaw(self.log_prob, jaw).exp().numpy()
        return carry_up(self.coarse, mesh, prob[:, classes_of_jaw(jaw)])


def look(net: SegmentationNet, mesh: Mesh, jaw: int, number: int, frames: np.ndarray) -> Look:
    """Let the net see a mesh in its plain tessellation (``number`` 0) or a drawn one, in the best of some frames."""
    rng = sample_rng(0, 0, mesh.scan_id, number) if number else None
    graph, decimated = scan_graph(mesh, net.config.graph, rng)
    batch = Batch.from_data_list([graph]).to(next(net.parameters()).device)
    viewer = Viewer(net, batch, jaw)
    view = viewer.best(frames) if len(frames) > 1 else viewer.view(frames[0])
    return Look(decimated.mesh, view.log_prob.float().cpu(), view.frame)


def decide_jaw(log_prob: torch.Tensor) -> tuple[int, float]:
    """The jaw with more tooth probability over all nodes [N, 33], and its share."""
    prob = log_prob.exp()
    upper, lower = float(prob[:, 1:17].sum()), float(prob[:, 17:].sum())
    share = upper / max(upper + lower, 1e-12)
    return (UPPER, share) if share >= 0.5 else (LOWER, 1 - share)
