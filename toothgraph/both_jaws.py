"""Label a file that may show both jaws of a patient, as scanners save an occlusion; each jaw is labelled separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.measures import Measure, measures_of_file
from toothgraph.errors import check_kind
from toothgraph.fdi import (
    FDI_OF_CLASS,
    JAW_NAMES,
    LOWER,
    NUM_CLASSES,
    UNKNOWN_JAW,
    UPPER,
    class_to_position,
    classes_of_jaw,
    fdi_to_class,
)
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import Prediction
from toothgraph.io.read import read_mesh
from toothgraph.io.reviewed import check_replaceable
from toothgraph.io.write import DEFAULT_FORMATS, check_not_over_scan, count_instances, write_labelled
from toothgraph.mesh.mesh import Mesh, check_mesh
from toothgraph.mesh.original import faces_to_original, scan_of_part, vertices_to_original
from toothgraph.model.file import load_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.postprocess.joined_jaws import joined_jaws
from toothgraph.postprocess.two_arches import are_both_jaws, same_teeth, two_surfaces
from toothgraph.report.doubts import pair_doubts
from toothgraph.report.page import FilePart, PageScan
from toothgraph.report.tooth_table import ToothRow, confidences
from toothgraph.segmentation import Segmentation, segment


@dataclass(frozen=True, eq=False)
class JawPair:
    """Both jaws of one file, each labelled separately.

    Attributes:
        mesh: the clean mesh of the file.
        jaws: the upper and the lower jaw, each as a scan of its own.
        parts: for each jaw, the numbers [F'] of its faces in ``mesh``, in the order of the jaw's own faces.
        cut: mm, the length of the line along which the jaws were cut apart; 0 for jaws that were not connected.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> upper = synthetic_arch(1, jaw=0, faces=2000)
        >>> lower = synthetic_arch(2, jaw=1, faces=2000)
        >>> apart = lower.vertices - [0, 40, 0]
        >>> faces = np.concatenate([upper.faces, lower.faces + len(upper.vertices)])
        >>> case = Mesh(np.concatenate([upper.vertices, apart]), faces)
        >>> pair = segment_file(case)
        >>> type(pair).__name__, [len(part) for part in pair.parts] == [len(upper.faces), len(lower.faces)]
        ('JawPair', True)
    """

    mesh: Mesh
    jaws: Sequence[Segmentation]
    parts: Sequence[np.ndarray]
    cut: float = 0.0

    @property
    def jaw_name(self) -> str:
        """The word ``both``, which tables show in place of a jaw."""
        return "both"

    @cached_property
    def labels(self) -> np.ndarray:
        """[F] FDI numbers of the faces of both jaws."""
        return self._joined([one.labels for one in self.jaws])

    @property
    def jaw_of_face(self) -> np.ndarray:
        """[F] The jaw of each face: 0 upper, 1 lower."""
        return self._joined([np.full(len(part), jaw) for jaw, part in enumerate(self.parts)])

    @cached_property
    def confidence(self) -> np.ndarray:
        """[F] probability of each face's label."""
        return self._joined([one.confidence for one in self.jaws])

    @property
    def face_labels(self) -> np.ndarray:
        """[F0] FDI numbers of the file's own faces, in their order."""
        return faces_to_original(self.mesh, self.labels)

    @property
    def vertex_labels(self) -> np.ndarray:
        """[V0] FDI numbers of the file's own vertices, in their order."""
        return vertices_to_original(self.mesh, self.labels)

    @property
    def face_confidence(self) -> np.ndarray:
        """[F0] Probability of the label of each of the file's own faces."""
        return faces_to_original(self.mesh, self.confidence)

    @property
    def classes(self) -> np.ndarray:
        """[33] the FDI numbers of both jaws: 0 for gingiva, then the teeth of the upper jaw, then of the lower jaw."""
        return FDI_OF_CLASS.copy()

    @property
    def face_probabilities(self) -> np.ndarray:
        """[F0, 33] float32 probabilities that the net gives to each face, for the numbers in ``classes``.

        Teeth of the other jaw have probability 0. On a separate piece of surface that is one crown, each face has the
        mean over the piece, see :class:`toothgraph.inference.predict.Prediction`.
        """
        values = np.zeros((len(self.mesh.faces), NUM_CLASSES), dtype=np.float32)
        for jaw, (one, part) in enumerate(zip(self.jaws, self.parts, strict=True)):
            values[np.ix_(part, classes_of_jaw(jaw))] = one.prediction.probabilities
        return faces_to_original(self.mesh, values)

    @property
    def face_instances(self) -> np.ndarray:
        """[F0] Instances: 1, 2, … for the teeth that were found, in order of their numbers; 0 for gingiva."""
        return count_instances(self.face_labels)

    @property
    def teeth(self) -> list[ToothRow]:
        """One row for gingiva and one for each tooth, first of the upper jaw, then of the lower jaw."""
        return [row for one in self.jaws for row in one.teeth]

    @property
    def measures(self) -> list[Measure]:
        """The measures of each arch, with the jaw in front of their keys; then the measures of both arches together."""
        return measures_of_file([one.measures for one in self.jaws])

    @property
    def warnings(self) -> list[Doubt]:
        """What to review: first what concerns both jaws together, then the warnings of each jaw."""
        of_jaws = [replace(doubt, jaw=one.mesh.jaw) for one in self.jaws for doubt in one.warnings]
        return self._of_both + of_jaws

    @property
    def _of_both(self) -> list[Doubt]:
        """The warnings that concern both jaws together."""
        upper = self.jaws[0]
        return pair_doubts(self.cut, upper.prediction.jaw_probability, upper.rules.two_arches)

    @property
    def doubts(self) -> list[str]:
        """The ``warnings`` as sentences."""
        return list(map(str, self.warnings))

    @property
    def strong_doubts(self) -> list[str]:
        """The sentences of the ``warnings`` that concern all labels of one jaw, or of both jaws."""
        return [str(doubt) for doubt in self.warnings if doubt.strong]

    def page_scans(self, truth: np.ndarray | None = None) -> list[PageScan]:
        """What a page shows of each jaw; ``truth`` [F] as in :meth:`toothgraph.segmentation.Segmentation.page_scan`."""
        upper, lower = (replace(one.page_scan(None if truth is None else truth[part]), part=FilePart(self.mesh, part))
                        for one, part in zip(self.jaws, self.parts, strict=True))  # fmt: skip
        return [replace(upper, doubts=[*self._of_both, *upper.doubts]), lower]

    def write(
        self, folder: str | Path, name: str | None = None, formats: Sequence[str] = DEFAULT_FORMATS
    ) -> list[Path]:
        """Write both jaws to one labelled file; see :func:`toothgraph.io.write.write_labelled`.

        Raises:
            ConfigError: if this would overwrite the file itself, labels beside it, or labels of another file.
            LabelError: if a person has corrected the labels that are there.
        """
        check_not_over_scan(self.mesh, folder, name or self.mesh.scan_id)
        check_replaceable(Path(folder), name or self.mesh.scan_id, self.mesh.path, self.mesh)
        return write_labelled(
            folder, name or self.mesh.scan_id, self.mesh, self.labels, formats, confidence=confidences(self.teeth),
            doubts=self.warnings, measures=self.measures, model=self.jaws[0].model, jaw_of_face=self.jaw_of_face,
        )  # fmt: skip

    def _joined(self, of_jaws: Sequence[np.ndarray]) -> np.ndarray:
        """[F] Values for the faces of the file, from the values for the faces of each jaw."""
        values = np.zeros(len(self.mesh.faces), dtype=of_jaws[0].dtype)
        for part, own in zip(self.parts, of_jaws, strict=True):
            values[part] = own
        return values


def segment_file(
    scan: Mesh | str | Path,
    net: SegmentationNet | None = None,
    jaw: int | None = None,
    options: PredictOptions | None = None,
) -> Segmentation | JawPair:
    """Label a scan of one jaw, or of both jaws of a patient, as the commands do.

    If the two jaws are separate surfaces, they may be in a bite or lie anywhere else. If they are joined to one
    surface, they must be in a bite, and are cut apart where they touch. If they touch at too many places for that, the
    file is labelled as one scan, with a warning in ``strong_doubts``.

    Args:
        scan, net, options: see :func:`toothgraph.segmentation.segment`.
        jaw: the jaw of a scan that shows one jaw. In a file with both jaws, the net decides which one is the upper jaw.

    Raises:
        MeshError, ShapeError: see :func:`toothgraph.segmentation.segment`.

    Example:
        >>> from toothgraph import synthetic_arch  # of one jaw; JawPair has an example of both
        >>> type(segment_file(synthetic_arch(1, jaw=0, faces=2000))).__name__
        'Segmentation'
    """
    if isinstance(scan, str | Path):
        scan = read_mesh(scan)
    check_mesh(scan)
    options, net = options or PredictOptions(), net or load_model()
    check_kind("options", options, PredictOptions)
    parts: Sequence[np.ndarray] = two_surfaces(scan, options.rules.two_arches)
    joined = None if parts else joined_jaws(scan, options.rules.two_arches)
    if joined is not None:
        parts = joined.parts
    found = [segment(replace(scan_of_part(scan, part), labels=None), net, UNKNOWN_JAW, options) for part in parts]
    if found and (pair := _both_jaws(scan, parts, found, net, options)):
        return pair if joined is None else replace(pair, cut=joined.cut)
    whole = segment(scan, net, jaw, options)
    if joined is not None:
        return replace(whole, joined=True)
    return replace(whole, two_arches=True) if found and same_teeth(list(map(_places, found))) else whole


def segment_jaws(
    scan: Mesh | str | Path,
    net: SegmentationNet | None = None,
    jaw: int | None = None,
    options: PredictOptions | None = None,
) -> list[Segmentation]:
    """Label a scan of one jaw, or of both jaws of a patient, and return each jaw as a scan of its own.

    Arguments and errors are those of :func:`segment_file`.

    Returns:
        One segmentation for one jaw. For both jaws two segmentations, of the upper and of the lower jaw, with the names
        ``<scan>_upper`` and ``<scan>_lower``.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> [jaw.prediction.jaw for jaw in segment_jaws(arch)]
        [0]
    """
    return list(segment_file(scan, net, jaw, options).jaws)


def _both_jaws(
    mesh: Mesh,
    parts: Sequence[np.ndarray],
    found: Sequence[Segmentation],
    net: SegmentationNet,
    options: PredictOptions,
) -> JawPair | None:
    """The two labelled surfaces of a mesh as a pair of jaws; None if they are not an upper and a lower jaw."""
    upper = [_upper(one.prediction) for one in found]
    if not are_both_jaws([one.mesh for one in found], list(map(_places, found)), upper, options.rules.two_arches):
        return None
    order = (0, 1) if upper[0] >= upper[1] else (1, 0)
    sure = _sure(upper[order[0]], upper[order[1]])
    jaws = []
    for which, side in zip(order, (UPPER, LOWER), strict=True):
        one = found[which]
        if one.mesh.jaw != side:  # the net took both for the same jaw
            one = segment(replace(one.mesh, jaw=side), net, side, options)
        name = f"{mesh.scan_id}_{JAW_NAMES[side]}"
        prediction = replace(one.prediction, jaw_probability=sure)
        jaws.append(replace(one, mesh=replace(one.mesh, scan_id=name), prediction=prediction))
    return JawPair(mesh, jaws, [parts[which] for which in order])


def _places(found: Segmentation) -> np.ndarray:
    """[F] The position of the tooth that was found on each face."""
    return class_to_position(fdi_to_class(found.prediction.labels))


def _upper(prediction: Prediction) -> float:
    """The probability that a prediction is of an upper jaw."""
    return prediction.jaw_probability if prediction.jaw == UPPER else 1 - prediction.jaw_probability


def _sure(first: float, second: float) -> float:
    """The probability that the first of two jaws is the upper one, given that exactly one of them is.

    Args:
        first, second: the probability that each jaw is an upper jaw, seen alone.
    """
    so, otherwise = first * (1 - second), second * (1 - first)
    return so / (so + otherwise) if so + otherwise > 0 else 0.5
