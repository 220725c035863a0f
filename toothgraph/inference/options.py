"""How a scan is labelled: which steps are taken, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from toothgraph.errors import check_number
from toothgraph.rules import Rules


@dataclass(frozen=True)
class PredictOptions:
    """The steps that :func:`toothgraph.predict_mesh` takes, and their rules.

    Attributes:
        tessellations: how many decimations of the scan the net sees; their probabilities are averaged.
        find_pose: find the rotation into the frame that the net knows; without this, the scan must lie in that frame.
        crop_to_teeth: look again at the part with the teeth, if the first look finds teeth on a part of the scan only.
        refine_borders: move borders into the folds of the surface, see :func:`toothgraph.postprocess.borders.refine`.
        assign_numbers: number teeth by the shape of their crowns and the gaps between them, see
            :func:`toothgraph.postprocess.assign_numbers.number_teeth`; without this, teeth have the numbers of the net.
        primary: show and write teeth that look like milk teeth with the numbers of milk teeth, 51 to 85; without this,
            each has the number of its successor.
        rules: the tuned constants.

    Raises:
        ConfigError: if ``tessellations`` is not a whole number of at least 1.

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
