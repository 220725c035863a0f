"""What a label file of a review says of it: its state, the number of steps, and what found the labels at first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toothgraph.io.review_log import APPROVED, CORRECTED, LOG
from toothgraph.mesh.label_origin import CORRECTED as BY_A_PERSON
from toothgraph.mesh.label_origin import LabelOrigin

LABELS = ".json"


def review_entry(state: str, version: int, model: str) -> dict[str, Any]:
    """What a label file says of its review: its state, the number of steps, and what found the labels at first."""
    return {"state": state, "version": version, "model": model}


def review_state(file: Path) -> str:
    """``unseen``, ``corrected`` or ``approved``; empty for a label file that is not of a review."""
    return str(_review(file).get("state", ""))


def review_version(file: Path) -> int | None:
    """The number of steps after which a label file was written; None if it is not there, or not of a review."""
    version = _review(file).get("version")
    return version if isinstance(version, int) else None


def reviewed_origin(file: Path) -> LabelOrigin | None:
    """The origin of the labels in a file of a review; None for another file."""
    review = _review(file)
    return LabelOrigin(BY_A_PERSON, str(review.get("model", ""))) if review else None


def work_of_review(folder: Path, name: str) -> Path | None:
    """The file in a folder that has what a person has done in a review of a scan: its labels, or, where a stop came
    before these were written, its log. None if there is no step of a review.

    Args:
        folder: of ``toothgraph review --labels``, or any other.
        name: of the scan in it.
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
