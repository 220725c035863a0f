"""Label a scan, and find its teeth, measures and warnings, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.frame import TEETH_NEEDED, open_direction
from toothgraph.anatomy.measures import ArchMeasures, measure_arch
from toothgraph.anatomy.number_order import number_faults
from toothgraph.anatomy.odd_crowns import OddCrowns, odd_crowns
from toothgraph.errors import check_names
from toothgraph.fdi import JAW_NAMES, TO_PRIMARY, class_to_fdi, classes_of_jaw, in_chart_order
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import OtherReading, Prediction, predict_mesh
from toothgraph.io.read import check_extent, read_mesh
from toothgraph.io.reviewed import check_replaceable
from toothgraph.io.write import DEFAULT_FORMATS, check_not_over_scan, count_instances, write_labelled
from toothgraph.mesh.mesh import Mesh, check_mesh
from toothgraph.mesh.original import faces_to_original, vertices_to_original
from toothgraph.mesh.soundness import broken_surface
from toothgraph.model.file import load_model
from toothgraph.model.nets import SegmentationNet
from toothgraph.postprocess.two_arches import shows_two_arches
from toothgraph.report.doubts import find_doubts
from toothgraph.report.page import PageScan
from toothgraph.report.tooth_table import ToothRow, confidences, tooth_table
from toothgraph.rules import Rules
from toothgraph.stages import stage

GUESS = 0.4  # the highest confidence of a tooth number that only the place of the tooth tells, not its shape


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A labelled scan.

    Attributes:
        mesh: the clean mesh, with the jaw that was given or found. Faces that were wound inside out are reversed, but
            its ``original`` is as it was.
        prediction: labels, probabilities and confidence of the faces, and the probability of the jaw.
        rules: the constants with which the scan was labelled.
        model: what the net was loaded from; empty for a net made in memory.
        two_arches: whether two surfaces of the scan have the same teeth; None to find out from the ``prediction``.
        joined: whether the surface looks like both jaws in a bite that could not be cut apart.
        primary: whether teeth that look like milk teeth get their own numbers, 51 to 85, in labels, tables and
            warnings. The ``prediction`` has the numbers of their successors.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> found = segment(arch)
        >>> found.face_labels.shape == (len(arch.faces),), len(found.teeth) > 0
        (True, True)
        >>> [file.name for file in found.write("labelled", "arch", formats=("ply", "json"))]
        ['arch.ply', 'arch.json']
    """

    mesh: Mesh
    prediction: Prediction
    rules: Rules = field(default_factory=Rules)
    model: str = ""
    two_arches: bool | None = None
    joined: bool = False
    primary: bool = False

    @cached_property
    def odd_crowns(self) -> OddCrowns:
        """Teeth that are not shaped like crowns; see :func:`toothgraph.anatomy.odd_crowns.odd_crowns`."""
        return odd_crowns(self.mesh, self.prediction.labels, self.prediction.milk_teeth)

    @cached_property
    def milk_teeth(self) -> tuple[int, ...]:
        """The numbers in the ``prediction`` of the teeth that look like milk teeth, by their row or by their shape."""
        return tuple(in_chart_order([*self.prediction.milk_teeth, *self.odd_crowns.milk]))

    @cached_property
    def confidence(self) -> np.ndarray:
        """[F] Probability of each face's label; at most ``GUESS`` on posts and stumps, whatever the net says."""
        odd = (*self.odd_crowns.posts, *self.odd_crowns.stumps)
        sure = self.prediction.confidence
        return np.where(np.isin(self.prediction.labels, odd), np.minimum(sure, GUESS), sure) if odd else sure

    @cached_property
    def teeth(self) -> list[ToothRow]:
        """One row for gingiva and one for each tooth, from the patient's right to the left."""
        stage("measuring teeth")
        rows = tooth_table(self.mesh, self.prediction.labels, self.confidence)
        return [replace(row, fdi=self._number(row.fdi)) for row in rows]

    @cached_property
    def measures(self) -> ArchMeasures:
        """Length, depth and widths of the arch; see :func:`toothgraph.anatomy.measures.measure_arch`."""
        return measure_arch(self.mesh, self.prediction.labels, self.milk_teeth)

    @property
    def labels(self) -> np.ndarray:
        """[F] FDI numbers of the faces of the clean mesh."""
        labels = self.prediction.labels
        if self.primary and self.milk_teeth:
            labels = np.where(np.isin(labels, self.milk_teeth), labels + TO_PRIMARY, labels)
        return labels

    def _number(self, fdi: int) -> int:
        """The number shown for a tooth of the prediction; with ``primary``, milk teeth have numbers of their own."""
        return fdi + TO_PRIMARY if self.primary and fdi in self.milk_teeth else fdi

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
    def face_probabilities(self) -> np.ndarray:
        """[F0, 17] float32 probabilities that the net gives to each face, for the numbers in ``classes``.

        On a separate piece of surface that is one crown, each face has the mean over the piece, see
        :class:`toothgraph.inference.predict.Prediction`.
        """
        return faces_to_original(self.mesh, self.prediction.probabilities)

    @property
    def jaws(self) -> list[Segmentation]:
        """A list of only this segmentation; :class:`toothgraph.both_jaws.JawPair` has two, one per jaw."""
        return [self]

    @property
    def jaw_name(self) -> str:
        """``upper`` or ``lower``."""
        return JAW_NAMES[self.mesh.jaw]

    @property
    def classes(self) -> np.ndarray:
        """[17] the FDI numbers of one jaw: 0 for gingiva, then its 16 teeth."""
        return class_to_fdi(classes_of_jaw(self.mesh.jaw))

    @property
    def face_instances(self) -> np.ndarray:
        """[F0] Instances: 1, 2, … for the teeth that were found, in order of their numbers; 0 for gingiva."""
        return count_instances(self.face_labels)

    @cached_property
    def warnings(self) -> list[Doubt]:
        """What to review, with the kind and teeth of each warning; see :func:`toothgraph.report.doubts.find_doubts`."""
        found = self.prediction
        two = self.two_arches
        if two is None:
            two = shows_two_arches(self.mesh, found.probabilities, self.rules.two_arches)
        few = sum(row.fdi > 0 for row in self.teeth) < TEETH_NEEDED
        return find_doubts(
            self.teeth, other=self._other, milk_teeth=self.milk_teeth, primary=self.primary,
            inside_out=found.inside_out,
            faults=number_faults(self.mesh.with_labels(found.labels)), crowns=self._crowns,
            closed=not self.joined and open_direction(self.mesh) is None, two_arches=two, joined=self.joined,
            jaw=found.jaw, jaw_probability=found.jaw_probability,
            broken=broken_surface(self.mesh) if few else "", rules=self.rules.review,
        )  # fmt: skip

    @property
    def doubts(self) -> list[str]:
        """The ``warnings`` as sentences."""
        return list(map(str, self.warnings))

    @property
    def strong_doubts(self) -> list[str]:
        """The ``warnings`` that concern all labels, as sentences; see :attr:`toothgraph.anatomy.doubt.Doubt.strong`."""
        return [str(doubt) for doubt in self.warnings if doubt.strong]

    @property
    def _crowns(self) -> OddCrowns:
        """The odd crowns, by the numbers that are shown for them."""
        crowns = self.odd_crowns
        return replace(
            crowns, stumps=tuple(map(self._number, crowns.stumps)), bracketed=tuple(map(self._number, crowns.bracketed))
        )

    @property
    def _other(self) -> OtherReading | None:
        other = self.prediction.other_reading
        if other is None or not self.primary:
            return other
        return replace(other, changes=tuple((self._number(given), now) for given, now in other.changes))

    def page_scan(self, truth: np.ndarray | None = None) -> PageScan:
        """What a page shows of the scan, see :func:`toothgraph.report.page.write_scans`.

        Args:
            truth: [F] the true FDI numbers, to show the errors.
        """
        return PageScan(
            self.mesh, self.labels, confidence=self.confidence, truth=truth, teeth=self.teeth,
            doubts=self.warnings, other_numbers=self._other, measures=self.measures,
        )  # fmt: skip

    def page_scans(self, truth: np.ndarray | None = None) -> list[PageScan]:
        """The :meth:`page_scan` of this scan in a list; for a file with both jaws, the list has two."""
        return [self.page_scan(truth)]

    def write(
        self, folder: str | Path, name: str | None = None, formats: Sequence[str] = DEFAULT_FORMATS
    ) -> list[Path]:
        """Write the labelled scan; see :func:`toothgraph.io.write.write_labelled`.

        Raises:
            ConfigError: if this would overwrite the scan itself, labels beside it, or labels of another file.
            LabelError: if a person has corrected the labels that are there.
        """
        check_not_over_scan(self.mesh, folder, name or self.mesh.scan_id)
        check_replaceable(Path(folder), name or self.mesh.scan_id, self.mesh.path, self.mesh)
        return write_labelled(
            folder, name or self.mesh.scan_id, self.mesh, self.labels, formats, confidence=confidences(self.teeth),
            doubts=self.warnings, measures=self.measures.measures, model=self.model,
        )  # fmt: skip


def segment(
    scan: Mesh | str | Path,
    net: SegmentationNet | None = None,
    jaw: int | None = None,
    options: PredictOptions | None = None,
) -> Segmentation:
    """Label a scan.

    Args:
        scan: a mesh, or a file in millimetres.
        net: in evaluation mode; by default the net in the package.
        jaw: 0 upper, 1 lower, -1 to let the net decide; by default that of the mesh, or what the file's name says.
        options: which steps are taken; by default all of them.

    Raises:
        MeshError: if the file cannot be read, or a mesh is not in mm.
        ShapeError: for anything but a mesh with faces or a file, a net in evaluation mode, and such a jaw.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> found = segment(arch)  # or the path of a scan
        >>> found.face_labels.shape == arch.labels.shape, isinstance(found.doubts, list | tuple)
        (True, True)
    """
    if isinstance(scan, str | Path):
        scan = read_mesh(scan)
    check_mesh(scan)
    check_extent(scan)
    mesh = scan
    options = options or PredictOptions()
    net = net or load_model()
    prediction = predict_mesh(net, mesh, mesh.jaw if jaw is None else jaw, options)
    seen = mesh.inside_out() if prediction.inside_out else mesh
    return Segmentation(
        replace(seen, jaw=prediction.jaw), prediction, options.rules, net.source, primary=options.primary
    )


def segment_all(
    files: Iterable[str | Path],
    net: SegmentationNet | None = None,
    jaw: int | None = None,
    options: PredictOptions | None = None,
) -> Iterator[Segmentation]:
    """Label scans one after another; the next file is read while the net works.

    Args:
        files: scan files, in millimetres.
        net, jaw, options: see :func:`segment`.

    Raises:
        MeshError: at the first file that cannot be read.
        ConfigError: for a single path in place of a list.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import write_labelled
        >>> files = [write_labelled(".", name, arch, arch.labels, ("ply",))[0] for name in ("007_U", "008_U")]
        >>> [found.prediction.jaw for found in segment_all(files)]
        [0, 0]
    """
    check_names("files", files)
    net = net or load_model()
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = None
        for file in files:
            following = pool.submit(read_mesh, file)
            if coming is not None:
                yield segment(coming.result(), net, jaw, options)
            coming = following
        if coming is not None:
            yield segment(coming.result(), net, jaw, options)
