"""The entry of a review in its label file: the state, the number of steps, and the model that found the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toothgraph.io.review_log import APPROVED, CORRECTED, LOG
from toothgraph.mesh.label_origin import CORRECTED as BY_A_PERSON
from toothgraph.mesh.label_origin import LabelOrigin

LABELS = ".json"


def review_entry(state: str, version: int, model: str) -> dict[str, Any]:
    """The entry of a review in its label file: state, number of steps, and the model that first found the labels."""
    return {"state": state, "version": version, "model": model}


def review_state(file: Path) -> str:
    """The state of the review in a label file: ``unseen``, ``corrected`` or ``approved``; empty without a review."""
    return str(_review(file).get("state", ""))


def review_version(file: Path) -> int | None:
    """The number of steps after which a label file was written; None if the file is missing or not of a review."""
    version = _review(file).get("version")
    return version if isinstance(version, int) else None


def reviewed_origin(file: Path) -> LabelOrigin | None:
    """The origin of the labels in a file of a review; None for any other file."""
    review = _review(file)
    return LabelOrigin(BY_A_PERSON, str(review.get("model", ""))) if review else None


def work_of_review(folder: Path, name: str) -> Path | None:
    """The file with the work of a person in a review of a scan; None if the review has no step.

    It is the label file if its state is corrected or approved. If the review stopped before the label file was written,
    it is the log.

    Args:
        folder: the folder of ``toothgraph review --labels``, or any other.
        name: the name of the scan in the folder.
    """
    labels, log = folder / f"{name}{LABELS}", folder / f"{name}{LOG}"
    if review_state(labels) in (CORRECTED, APPROVED):
        return labels
    return log if log.is_file() and log.read_bytes().count(b"\n") > 1 else None


def _review(file: Path) -> dict[str, Any]:
    try:
        review = json.loads(file.read_text(encoding="utf-8-sig"))["review"] if file.suffix == LABELS else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return review if isinstance(review, dict) else {}
