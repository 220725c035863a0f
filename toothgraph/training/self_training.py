"""Self-training: a teacher that was trained on few labels labels further scans, and a student learns from both.

Source: Xie et al., CVPR 2020, https://doi.org/10.1109/CVPR42600.2020.01070. There, a new student is trained with noise
on the labels of which its teacher is sure. Here, the teacher labels scans with all steps of prediction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.errors import ConfigError, DataError
from toothgraph.fdi import LOWER, UPPER
from toothgraph.inference.trust import Trust
from toothgraph.model.file import read_model
from toothgraph.training.config import FinetuneConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.found_labels import find_labels
from toothgraph.training.run_folder import check_free, check_options, labels_of, logged, teacher
from toothgraph.training.run_state import Stopped
from toothgraph.training.sides import Sides, labelled_sides
from toothgraph.training.unlabelled import Unlabelled, left_over

_log = logging.getLogger("toothgraph")


def self_train(
    scans: list[Scan],
    split: Split,
    unlabelled: Sequence[Unlabelled],
    out: str | Path,
    config: FinetuneConfig,
    *,
    init: str | Path | None = None,
    resume: bool = False,
) -> Path:
    """Fine-tune on labelled scans, then ``config.rounds`` times on these and on labels found on other scans.

    In each round, the last net is the teacher that labels ``unlabelled``, and a new student learns from both. For each
    round, the run folder holds the run of the teacher (``teacher-1``) and the labels that it found (``found-1``). The
    last student is the run itself. Without labelled scans, ``init`` is the first teacher. Scans of patients who
    validate or test, and scans whose labels are used, are left out of ``unlabelled``.

    Args:
        scans, split, init, resume: as for :func:`toothgraph.training.finetune.finetune`; ``scans`` may be empty.
        unlabelled: scans to learn from without labels, see :func:`toothgraph.training.unlabelled.find_unlabelled`.
        out: run folder.
        config: options; ``label_fraction`` is the share of the training patients of ``scans``.

    Returns:
        The model file.

    Raises:
        ConfigError: for several devices, or if there are neither labelled scans nor a segmentation net to start from.
        ToothgraphError: see ``finetune`` and :func:`toothgraph.training.found_labels.find_labels`; also if no
            unlabelled scan is left.
    """
    out = Path(out)
    check_one_device(config)
    check_free(out, resume)
    student = replace(config, label_fraction=1.0)  # it learns from all labels that it is given
    check_options(out, student if init else replace(student, backbone_rate=1.0))
    sides = labelled_sides(scans, split, config.label_fraction) if scans else Sides([], [], labels=True)
    free = _usable(unlabelled, sides, split)
    if scans:
        _log.info("the first teacher learns from the labels")
        with _told_of(f"the first teacher, {teacher(1)}"):
            model = finetune(scans, split, out / teacher(1), _of_teacher(config), init=init, resume=resume)
        name, jaws = teacher(1), _jaws(sides.train)
    else:
        model, name, jaws = _segmentation(init), str(init), {UPPER, LOWER}
    for number in range(1, config.rounds + 1):
        last = number == config.rounds
        folder = out if last else out / teacher(number + 1)
        with _told_of(f"the labels found by {name}"), logged(out):
            found = find_labels(free, model, name, out / labels_of(number), config, jaws=jaws, student=folder)
        _log.info(
            "student %d of %d learns from the labels%s", number, config.rounds, " and from those found" * bool(scans)
        )
        learned, name = [*sides.train, *found], teacher(number + 1)
        jaws = _jaws(learned)
        patients = tuple(sorted({scan.patient for scan in learned}))
        with _told_of(f"student {number} of {config.rounds}" + f", {name}" * (not last)):
            model = finetune(
                [*learned, *sides.val], Split(patients, split.val if scans else (), {}), folder,
                student if last else _of_teacher(student), init=init, resume=resume,
            )  # fmt: skip
    return model


def check_one_device(config: FinetuneConfig) -> None:
    """Raise ConfigError for self-training on several devices."""
    if config.devices * config.nodes > 1:
        raise ConfigError("self-training runs on one device: expected devices and nodes of 1")


def _of_teacher(config: FinetuneConfig) -> FinetuneConfig:
    """The options of a teacher's run.

    Options that do not affect how a teacher learns are reset, so that they may change when a run is resumed.
    """
    return replace(config, rounds=1, trust=Trust())


def _jaws(scans: Sequence[Scan]) -> set[int]:
    """The jaws of labelled scans."""
    return {int(scan.variants[0].jaw) for scan in scans}


@contextmanager
def _told_of(stage: str) -> Iterator[None]:
    """If the user stops the work inside the block, add the stage to the message."""
    try:
        yield
    except Stopped as stopped:
        raise Stopped(f"{stage}: {stopped}", stopped.by_sigterm) from stopped
    except KeyboardInterrupt as stop:
        how = ", ".join([stage, *map(str, stop.args)])
        stop.args = (f"{how}; to go on, run the same command with --resume",)
        raise


def _usable(unlabelled: Sequence[Unlabelled], sides: Sides, split: Split) -> list[Unlabelled]:
    """The unlabelled scans that may be used, see :func:`left_over`; raises DataError if there are none."""
    free = left_over(unlabelled, sides, split)
    if not free:
        raise DataError(
            f"none of the {len(unlabelled)} unlabelled scans can be used: each is of a patient for validation or test, "
            "or its labels are used already"
        )
    if len(free) < len(unlabelled):
        left = len(unlabelled) - len(free)
        _log.info(
            "unlabelled scans left out, since their patients are for validation or test, or their labels are used: %d",
            left,
        )
    return free


def _segmentation(init: str | Path | None) -> Path:
    """The model file of ``init``; raises ConfigError if it is no segmentation net, which can label scans."""
    file = read_model(init) if init else None
    if file is None or file.kind != "segmentation":
        raise ConfigError(
            "expected labelled scans, or --init with a net of `finetune` (such as `default`) to label the others"
        )
    return file.path
