"""Select the labels of a prediction that a net may learn from.

They are teeth with a sure number that a second look finds in the same way, and gingiva where neither look suspects a
tooth.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from toothgraph.anatomy.frame import TEETH_NEEDED, turned
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UNKNOWN_JAW, UPPER
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import Prediction, predict_mesh
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.nets import SegmentationNet
from toothgraph.postprocess.two_arches import shows_two_arches
from toothgraph.rules import DEFAULT
from toothgraph.seeding import sample_rng
from toothgraph.transforms.augment import random_rotation

KEPT, UNSURE, UNLIKE, MILK = "kept", "its number is not sure", "two looks differ", "looks like a milk tooth"
_BORDER = 0.7  # mm from a tooth; nearer gingiva is never sure, but it is kept, as it shows where the tooth ends


@dataclass(frozen=True)
class Trust:
    """The limits that predicted labels must reach.

    Attributes:
        certainty: lowest probability of the number of a tooth, over all readings of the row of teeth.
        agreement: lowest IoU of the surface of a tooth between two looks that give it the same number.
        teeth: lowest share of the teeth found that are kept; below it, or with fewer than four kept teeth, nothing of
            the scan is kept.
        gingiva: highest probability of a tooth, by either look, on faces labelled as gingiva. A teacher that has seen
            no third molar labels most of a third molar as gingiva, and a student would learn this.
        jaw: lowest probability of the jaw, by both looks, if the jaw is not given.
    """

    certainty: float = 0.9
    agreement: float = 0.8
    teeth: float = 0.5
    gingiva: float = 0.1
    jaw: float = 0.9


@dataclass(frozen=True, eq=False)
class Trusted:
    """The labels of a scan that may be learned from.

    Attributes:
        labels: [F] FDI numbers, 0 gingiva; :data:`toothgraph.fdi.UNKNOWN` where the labels are not to be trusted.
        teeth: for each tooth found, by its number, :data:`KEPT` or why it was not kept.
        reason: why nothing of the scan is kept; empty if something is kept.
        jaw: 0 upper, 1 lower, as given or found.
    """

    labels: np.ndarray
    teeth: dict[int, str]
    reason: str
    jaw: int


def trusted_labels(
    net: SegmentationNet,
    mesh: Mesh,
    trust: Trust = Trust(),
    options: PredictOptions | None = None,
    seed: int = 0,
    jaws: Collection[int] = (UPPER, LOWER),
) -> Trusted:
    """Label a scan twice, the second time turned at random and with other tessellations, and keep the sure labels.

    A net that learns a wrong label later predicts it as a sure one. So a tooth is kept only if its number is sure by
    the whole row of teeth, both looks agree on its surface, and it does not look like a milk tooth. Faces on which the
    looks differ have no label, and gingiva that may be a tooth has none either.

    Args:
        net: in evaluation mode.
        mesh: F faces; its labels are not used.
        trust: the limits that labels must reach.
        options: which steps of prediction are taken; by default all of them.
        seed: of the random rotation.
        jaws: the jaws whose labels the net has learned. A net that has learned both can tell which jaw it sees. To a
            net that has learned only one, every scan looks like this jaw.

    Raises:
        ShapeError: if ``mesh`` is not a mesh, or ``net`` is not a net.
    """
    first = predict_mesh(net, mesh, mesh.jaw, options)
    rotation = random_rotation(sample_rng(seed, 0, mesh.scan_id), 180)
    other = replace(turned(mesh, rotation), scan_id=f"{mesh.scan_id} turned")  # random draws depend on the name
    second = predict_mesh(net, other, mesh.jaw, options)
    labels = np.where(first.labels == second.labels, first.labels, UNKNOWN)
    teeth = {}
    for number in map(int, np.unique(first.labels[first.labels > 0])):
        teeth[number] = _verdict(number, first, second, mesh.areas, trust)
        if teeth[number] != KEPT:
            labels[(first.labels == number) | (second.labels == number)] = UNKNOWN
    labels[_may_be_tooth(first, second, mesh, trust.gingiva)] = UNKNOWN
    kept, reason = list(teeth.values()).count(KEPT), ""
    if wrong := _wrong_jaw(first, second, mesh.jaw, trust, jaws):
        reason = wrong
    elif shows_two_arches(mesh, first.probabilities):
        reason = "shows both jaws; give each as a file of its own"
    elif kept < max(TEETH_NEEDED, trust.teeth * len(teeth)):
        reason = f"only {kept} of the {len(teeth)} teeth found are sure"
    return Trusted(np.full_like(labels, UNKNOWN) if reason else labels, teeth, reason, first.jaw)


def _wrong_jaw(first: Prediction, second: Prediction, given: int, trust: Trust, jaws: Collection[int]) -> str:
    """Why the jaw may be the wrong one, so that all numbers would be wrong; empty if nothing speaks for this."""
    if first.jaw != second.jaw:
        return "two predictions of it disagree on the jaw"
    sure, knows_both = min(first.jaw_probability, second.jaw_probability), {UPPER, LOWER} <= {*jaws}
    if given == UNKNOWN_JAW and not knows_both:
        return (
            "its jaw is not known, and the labels to learn from are of only one jaw; put upper or lower into its name"
        )
    if given == UNKNOWN_JAW and sure < trust.jaw:
        return "the model is not sure which jaw it is; put upper or lower into its name"
    if given != UNKNOWN_JAW and knows_both and sure < DEFAULT.review.jaw:
        return f"it is given as the {JAW_NAMES[given]} jaw, but looks like the {JAW_NAMES[UPPER + LOWER - given]} jaw"
    return ""


def _may_be_tooth(first: Prediction, second: Prediction, mesh: Mesh, limit: float) -> np.ndarray:
    """Faces away from the teeth that are labelled as gingiva but may be part of a tooth. [F] bool"""
    unsure = (first.labels == 0) & (np.minimum(first.probabilities[:, 0], second.probabilities[:, 0]) < 1 - limit)
    teeth = cKDTree(mesh.centroids[first.labels > 0])
    unsure[unsure] = teeth.query(mesh.centroids[unsure], distance_upper_bound=_BORDER)[0] > _BORDER
    return unsure


def _verdict(number: int, first: Prediction, second: Prediction, areas: np.ndarray, trust: Trust) -> str:
    """:data:`KEPT` if a tooth is kept, else the reason why not."""
    ours, theirs = first.labels == number, second.labels == number
    if number in first.milk_teeth:
        return MILK
    if areas[ours & theirs].sum() < trust.agreement * areas[ours | theirs].sum():
        return UNLIKE
    certain = [found.tooth_certainty[which].mean() for found, which in ((first, ours), (second, theirs))
               if found.tooth_certainty is not None]  # fmt: skip
    return UNSURE if min(certain, default=1.0) < trust.certainty else KEPT
