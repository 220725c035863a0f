"""Prediction for one scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.fdi import UNKNOWN_JAW, class_to_fdi, class_to_position, classes_of_jaw, fdi_to_class
from toothgraph.inference.look import decide_jaw, look
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.pose import OWN_FRAME, candidate_frames
from toothgraph.inference.tooth_region import arch_faces
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.interpolate import interpolate
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.nets import SegmentationNet
from toothgraph.postprocess.assign_numbers import number_teeth
from toothgraph.postprocess.borders import refine
from toothgraph.postprocess.closed_gaps import past_closed_gaps


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net says of a scan.

    Attributes:
        labels: [F] FDI numbers of the mesh's faces, 0 gingiva.
        probabilities: [F, 17] float32, of gingiva and of the 16 teeth of the jaw, as the net gives them.
        jaw: 0 upper, 1 lower; as given, or as predicted.
        jaw_probability: of that jaw, as the net sees it; low where it was given and the scan looks like the other.
        past_gap: FDI numbers of the teeth behind a gap that has closed, which by their sizes got the number after the
            net's, see :func:`toothgraph.postprocess.closed_gaps.past_closed_gaps`.
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
    net: SegmentationNet, mesh: Mesh, jaw: int = UNKNOWN_JAW, options: PredictOptions | None = None
) -> Prediction:
    """Label every face of a mesh, however it lies.

    The scan is decimated to the size the net works on, several times and differently; the probabilities
    are averaged on the scan's faces. Of a scan with far more faces than that, a coarser surface stands in for
    it, and the average is interpolated once. Where the first look finds teeth on a part of the scan only, the
    net looks again, at that part. Then borders move into the folds of the surface, and the teeth are numbered
    along the arch, past gaps that have closed. The draws depend only on the scan's name. Where fewer than four teeth
    are found, all is done once more with the faces wound the other way round, and counts if that shows four.

    Args:
        net: in evaluation mode.
        mesh: any size; its labels are not looked at.
        jaw: 0 upper, 1 lower, -1 to let the net decide.
        options: which steps are taken, and by which rules; by default all of them.
    """
    options = options or PredictOptions()
    mesh = mesh.with_labels(None)
    found = _predict(net, mesh, jaw, options)
    if _shows_an_arch(found):
        return found
    other = _predict(net, mesh.inside_out(), jaw, options)
    return replace(other, inside_out=True) if _shows_an_arch(other) else found


def _shows_an_arch(found: Prediction) -> bool:
    return bool((np.unique(found.labels) > 0).sum() >= TEETH_NEEDED)


def _predict(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> Prediction:
    """What :func:`predict_mesh` does with faces wound as they are."""
    prob, jaw, share = probabilities(net, mesh, jaw, options)
    return label_faces(mesh, prob, jaw, share, options)


def label_faces(mesh: Mesh, prob: np.ndarray, jaw: int, share: float, options: PredictOptions) -> Prediction:
    """From what the net says to labels, by the rules.

    Args:
        mesh: F faces.
        prob: [F, 17], see :func:`probabilities`.
        jaw: 0 upper, 1 lower.
        share: the jaw's probability.
        options: which steps are taken.
    """
    rules = options.rules
    place = refine(mesh, prob, rules.borders) if options.refine_borders else prob.argmax(axis=1)
    counted = number_teeth(mesh, place, prob, jaw, rules) if options.assign_numbers else place
    place = past_closed_gaps(mesh, counted, rules.gaps) if options.assign_numbers else counted
    labels = class_to_fdi(classes_of_jaw(jaw)[place])
    return Prediction(labels, prob, jaw, share, tuple(np.unique(labels[place != counted]).tolist()))


def probabilities(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> tuple[np.ndarray, int, float]:
    """What the net says of every face, [F, 17] for gingiva and the places 1 … 16; the jaw, and its probability.

    Arguments as in :func:`predict_mesh`.
    """
    rules = options.rules

    def frames(surface: Mesh, first: np.ndarray = OWN_FRAME[0]) -> np.ndarray:
        return candidate_frames(surface, first, rules.pose) if options.find_pose else OWN_FRAME

    # 1. A first look at the whole scan, on a coarser surface where the scan is fine.
    base = decimate(mesh, rules.base_share * net.config.graph.faces).mesh
    first = look(net, base, jaw, 0, frames(base), rules.pose)
    # 2. A closer one at the part with the teeth, and further tessellations of it.
    gingiva = first.log_prob[:, 0].exp().numpy()
    near = arch_faces(first.coarse, gingiva, base, rules.region) if options.crop_to_teeth else None
    if near is None:
        arch, looks = base, [first]
    else:
        arch = base.part(near)
        looks = [look(net, arch, jaw, 0, frames(arch, first.frame), rules.pose)]
    # of a scan that is small already the next would be the same
    while len(looks) < options.tessellations and looks[-1].coarse is not arch:
        looks.append(look(net, arch, jaw, len(looks), looks[0].frame[None], rules.pose))
    # 3. The jaw, by all of them.
    seen, share = decide_jaw(torch.cat([one.log_prob for one in looks]))
    if jaw == UNKNOWN_JAW:
        jaw = seen
    elif jaw != seen:
        share = 1 - share
    # 4. Their mean on the scan's faces.
    prob = np.mean([one.interpolated(arch, jaw, rules.interpolation) for one in looks], axis=0)  # [F of arch, 17]
    if near is not None:
        whole = first.interpolated(base, jaw, rules.interpolation)
        whole[near] = prob
        prob = whole
    return interpolate(base, mesh, prob, rules.interpolation), jaw, share
