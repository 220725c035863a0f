"""How a scan is labelled: which steps are taken, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from toothgraph.errors import check_number
from toothgraph.rules import Rules


@dataclass(frozen=True)
class PredictOptions:
    """What :func:`toothgraph.predict_mesh` does.

    Attributes:
        tessellations: how many decimations of the scan the net sees; their probabilities are averaged.
        find_pose: look for the frame that the net knows; else the scan must lie in it.
        crop_to_teeth: look again at the part with the teeth, where the first look finds them on a part only.
        refine_borders: move borders into the folds of the surface, see :func:`toothgraph.postprocess.borders.refine`.
        assign_numbers: number teeth by the shape of their crowns and the gaps between them, see
            :func:`toothgraph.postprocess.assign_numbers.number_teeth`; else the numbers are those of the net.
        primary: give teeth that look like milk teeth their own numbers, 51 to 85, in what is shown and written; else
            each has that of its successor.
        rules: the tuned constants.

    Raises:
        ConfigError: for ``tessellations`` that are no whole number of at least 1.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import segment
        >>> quick = segment(arch, options=PredictOptions(tessellations=1, refine_borders=False))
        >>> quick.face_labels.shape == arch.labels.shape
        True
    """

    tessellations: int = 3
    find_pose: bool = True
    crop_to_teeth: bool = True
    refine_borders: bool = True
    assign_numbers: bool = True
    primary: bool = False
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        check_number("tessellations", self.tessellations, least=1, whole=True)
