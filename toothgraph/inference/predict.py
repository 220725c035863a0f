"""Prediction for one scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from toothgraph.anatomy.frame import TEETH_NEEDED
from toothgraph.errors import ShapeError, check_kind, kind_of
from toothgraph.fdi import (
    LOWER,
    UNKNOWN_JAW,
    check_jaw,
    class_to_fdi,
    class_to_position,
    classes_of_jaw,
    fdi_to_class,
    in_chart_order,
)
from toothgraph.inference.beside import second_thread
from toothgraph.inference.look import Look, Tessellation, decide_jaw, look, tessellate
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.pose import OWN_FRAME, candidate_frames
from toothgraph.inference.sides import side_with_teeth
from toothgraph.inference.tooth_region import arch_faces
from toothgraph.mesh.decimate import decimate
from toothgraph.mesh.interpolate import Nearest, nearest
from toothgraph.mesh.mesh import Mesh, check_mesh
from toothgraph.model.crowns import CrownNet
from toothgraph.model.file import default_crowns
from toothgraph.model.nets import SegmentationNet
from toothgraph.postprocess.assign_numbers import Classifier, number_teeth
from toothgraph.postprocess.borders import refine
from toothgraph.postprocess.lone_crowns import lone_crowns, with_whole_crowns
from toothgraph.postprocess.milk_teeth import with_milk_incisors
from toothgraph.stages import stage


@dataclass(frozen=True)
class OtherReading:
    """The numbers of a row of teeth that fit best after the given numbers.

    Attributes:
        changes: pairs of FDI numbers, given and other, of the teeth that differ, from the patient's right to the left;
            0 for gingiva.
        odds: how much likelier the given numbers are than the other ones.
    """

    changes: tuple[tuple[int, int], ...]
    odds: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The labels of a scan, and how sure they are.

    Attributes:
        labels: [F] FDI numbers of the mesh's faces, 0 gingiva.
        probabilities: [F, 17] float32, of gingiva and of the 16 teeth of the jaw, as the net gives them. On a separate
            piece of surface that is one crown, all faces have the mean over the piece, and gingiva is 0. If the row of
            teeth then says that the piece is not a tooth, gingiva has the probability of this.
        jaw: 0 upper, 1 lower; as given, or as predicted.
        jaw_probability: of this jaw, by the net; low if the jaw was given and the scan looks like the other jaw.
        tooth_certainty: [F] probability of each face's tooth number, over all readings of the row of teeth; 1 on faces
            outside the row. None if teeth were not numbered.
        other_reading: the next best numbers; None if there is no tooth, or teeth were not numbered.
        milk_teeth: teeth that look like milk teeth, by the FDI numbers of their successors.
        inside_out: whether teeth were found only with the faces wound the other way round.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    jaw: int
    jaw_probability: float
    tooth_certainty: np.ndarray | None = None
    other_reading: OtherReading | None = None
    milk_teeth: tuple[int, ...] = ()
    inside_out: bool = False

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of each face's label. [F] float32

        For a tooth, it is the probability of a tooth times that of its number. If teeth were not numbered, it is the
        probability that the net gives to the label.
        """
        place = class_to_position(fdi_to_class(self.labels))
        if self.tooth_certainty is None:
            return self.probabilities[np.arange(len(place)), place]
        tooth = 1 - self.probabilities[:, 0]
        return np.where(place > 0, tooth * self.tooth_certainty, self.probabilities[:, 0]).astype(np.float32)


@torch.inference_mode()
def predict_mesh(
    net: SegmentationNet, mesh: Mesh, jaw: int = UNKNOWN_JAW, options: PredictOptions | None = None
) -> Prediction:
    """Label every face of a mesh, in whatever orientation it lies.

    The scan is decimated several times, in different ways, to the size that the net works on. The probabilities are
    averaged on the scan's faces. If the scan has far more faces than this size, a coarser surface takes its place, and
    the average is interpolated once. If the first look finds teeth on a part of the scan only, the net looks again at
    that part. Then borders move into the folds of the surface, and the teeth are numbered along the arch, past gaps
    that have closed. Random draws depend only on the scan's name. If fewer than four teeth are found, all steps are
    repeated with the faces wound the other way round; the second result counts if it has at least four teeth.

    Args:
        net: in evaluation mode.
        mesh: any size; its labels are not used.
        jaw: 0 upper, 1 lower, -1 to let the net decide.
        options: which steps are taken, and by which rules; by default all of them.

    Raises:
        ShapeError: if ``mesh`` is not a mesh or has no faces, if ``net`` is not a net of torch.float32 in evaluation
            mode, or if ``jaw`` has another value.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import load_model
        >>> found = predict_mesh(load_model(), arch, jaw=0)
        >>> found.labels.shape == arch.labels.shape, found.probabilities.shape[1]
        (True, 17)
    """
    check_mesh(mesh)
    if not isinstance(net, SegmentationNet):
        found_net = repr(net) if isinstance(net, str | Path) else kind_of(net)
        raise ShapeError(f"expected a SegmentationNet, got {found_net}; toothgraph.load_model(path) loads one")
    if wrong := {part.dtype for part in net.parameters()} - {torch.float32}:
        raise ShapeError(f"expected a net of torch.float32, got one of {wrong.pop()}; call net.float() first")
    if any(part.training for part in net.modules()):
        raise ShapeError("expected a net in evaluation mode, got one in training mode, which gives other labels "
                         "and changes with each scan; call net.eval() first")  # fmt: skip
    check_jaw(jaw)
    options = options or PredictOptions()
    check_kind("options", options, PredictOptions)
    mesh = mesh.with_labels(None)
    found = _predict(net, mesh, jaw, options)
    if _shows_an_arch(found):
        return found
    other = _predict(net, mesh.inside_out(), jaw, options)
    return replace(other, inside_out=True) if _shows_an_arch(other) else found


def _shows_an_arch(found: Prediction) -> bool:
    return bool((np.unique(found.labels) > 0).sum() >= TEETH_NEEDED)


def _predict(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> Prediction:
    """The steps of :func:`predict_mesh`, with the faces wound as they are."""
    return label_faces(mesh, see(net, mesh, jaw, options), net.crowns or default_crowns(), options)


def label_faces(mesh: Mesh, seen: Seen, crowns: CrownNet, options: PredictOptions) -> Prediction:
    """Turn the output of the net into labels, by the rules.

    Args:
        mesh: F faces.
        seen: the output of the net for these faces.
        crowns: a net that knows teeth by the shape of their crowns.
        options: which steps are taken.
    """
    rules, jaw = options.rules, seen.jaw
    alone = lone_crowns(mesh, seen.prob, rules.lone_crowns)
    prob = with_whole_crowns(seen.prob, mesh.areas, alone)
    stage("placing borders")
    place = refine(mesh, prob, rules.borders) if options.refine_borders else prob.argmax(axis=1)
    classes = class_to_fdi(classes_of_jaw(jaw))
    if not options.assign_numbers:
        return Prediction(classes[place], prob, jaw, seen.jaw_probability)
    stage("numbering teeth")
    found = number_teeth(mesh, place, prob, jaw, seen.up, classifier(crowns), rules, seen.side, alone)
    certainty, other = np.ones(len(place)), None
    milk: tuple[int, ...] = ()
    if found.reading is not None:
        best, second = classes[found.reading.places], classes[found.reading.second]
        changes = tuple((int(a), int(b)) for a, b in zip(best, second, strict=True) if a != b)
        other = OtherReading(changes[::-1] if jaw == LOWER else changes, found.reading.odds)
        milk = tuple(in_chart_order(best[with_milk_incisors(found.reading.places, found.reading.milk)]))
        numbered = found.tooth >= 0
        of_row = found.reading.probability[np.arange(len(best)), found.reading.places]
        certainty[numbered] = of_row[found.tooth[numbered]]
        for own in alone:
            if numbered[own].all() and not found.place[own].any():  # a crown by its size, but no tooth by the row
                prob[own] *= 1 - certainty[own, None]
                prob[own, 0] = certainty[own]
    return Prediction(classes[found.place], prob, jaw, seen.jaw_probability, certainty, other, milk)


def classifier(crowns: CrownNet) -> Classifier:
    """A net for crowns as a function from points [T, P, 3] and the jaw to log-probabilities [T, 16]."""

    def classify(points: np.ndarray, jaw: int) -> np.ndarray:
        said: np.ndarray = crowns.positions(torch.from_numpy(points.astype(np.float32)), jaw).numpy()
        return said

    return classify


@dataclass(frozen=True, eq=False)
class Seen:
    """The output of a net for a scan, before any rule is applied.

    Attributes:
        prob: [F, 17] probabilities of gingiva and the positions 1 … 16.
        jaw: 0 upper, 1 lower; as given, or as the net finds it.
        jaw_probability: probability of this jaw, by the net.
        up: [3] unit direction towards the bite, in the scan's own frame.
        side: [F] bool, the faces that the net looked at; None for all.
    """

    prob: np.ndarray
    jaw: int
    jaw_probability: float
    up: np.ndarray
    side: np.ndarray | None = None


def see(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> Seen:
    """The output of the net for every face of a surface.

    If the surface is closed, the net looks at the side with the teeth only, and the rest is gingiva.

    Arguments as in :func:`predict_mesh`.
    """
    side = side_with_teeth(net, mesh, jaw, options)
    if side is None:
        return see_scan(net, mesh, jaw, options)
    seen = see_scan(net, mesh.part(side), jaw, options)
    prob = np.eye(1, 17, dtype=seen.prob.dtype).repeat(len(side), axis=0)
    prob[side] = seen.prob
    return replace(seen, prob=prob, side=side)


def see_scan(net: SegmentationNet, mesh: Mesh, jaw: int, options: PredictOptions) -> Seen:
    """The output of the net for every face of an open surface.

    Arguments as in :func:`predict_mesh`.
    """
    rules = options.rules

    def frames(surface: Mesh, first: np.ndarray = OWN_FRAME[0]) -> np.ndarray:
        return candidate_frames(surface, first, rules.pose) if options.find_pose else OWN_FRAME

    spec, carry = net.config.graph, rules.interpolation
    # 1. A first look at the whole scan, on a coarser surface where the scan is fine.
    base = decimate(mesh, rules.base_share * spec.faces).mesh
    with second_thread() as begin:
        to_mesh = begin(nearest, base, mesh, carry)
        seen = tessellate(base, spec, 0)
        to_base = begin(nearest, seen.coarse, base, carry)
        first = look(net, seen, jaw, frames(base), rules.pose)
        # 2. A closer look at the part with the teeth. Further tessellations of it are made while the net looks.
        gingiva = first.log_prob[:, 0].exp().numpy()
        near = arch_faces(first.seen.coarse, gingiva, base, rules.region) if options.crop_to_teeth else None
        arch = base if near is None else base.part(near)
        looks, to_arch = ([first], [to_base]) if near is None else ([], [])
        few = len(arch.faces) <= spec.faces  # further tessellations of a small scan would be the same
        numbers = range(len(looks), 1 if few else options.tessellations)
        waiting: list[Callable[[], Tessellation]] = [partial(tessellate, arch, spec, each) for each in numbers]
        waiting[1:] = [begin(work) for work in waiting[1:]]  # the first is needed at once
        for made in waiting:
            seen = made()
            to_arch.append(begin(nearest, seen.coarse, arch, carry))
            turned = looks[0].frame[None] if looks else frames(arch, first.frame)
            looks.append(look(net, seen, jaw, turned, rules.pose))
            if seen.coarse is arch:
                break
        whole, of_base, of_arch = to_mesh(), to_base(), [found() for found in to_arch]
    # 3. The jaw, by all looks.
    seen_jaw, share = decide_jaw(torch.cat([one.log_prob for one in looks]))
    if jaw == UNKNOWN_JAW:
        jaw = seen_jaw
    elif jaw != seen_jaw:
        share = 1 - share
    stage("carrying labels to every face")
    # 4. The mean of all looks on the scan's faces.
    prob = np.mean([carried(one, to, jaw) for one, to in zip(looks, of_arch, strict=True)], axis=0)  # [F of arch, 17]
    if near is not None:
        everywhere = carried(first, of_base, jaw)
        everywhere[near] = prob
        prob = everywhere
    return Seen(prob if whole is None else whole.carry(prob), jaw, share, looks[0].frame[1])


def carried(one: Look, to: Nearest | None, jaw: int) -> np.ndarray:
    """The probabilities of a look, given the jaw, carried to the mesh that was tessellated. [F, 17]"""
    return one.places(jaw) if to is None else to.carry(one.places(jaw))
