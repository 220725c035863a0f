"""Label files of a review: which of them may be learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toothgraph.errors import LabelError
from toothgraph.mesh.label_origin import CORRECTED, LabelOrigin

LABELS = ".json"
APPROVED = "approved"


def review_entry(state: str, version: int, model: str) -> dict[str, Any]:
    """What a label file says of its review: its state, the number of steps, and what found the labels at first."""
    return {"state": state, "version": version, "model": model}


def review_state(file: Path) -> str:
    """``unseen``, ``corrected`` or ``approved``; empty for a label file that is not of a review."""
    return str(_review(file).get("state", ""))


def reviewed_origin(file: Path) -> LabelOrigin | None:
    """The origin of the labels in a file of a review; None for another file."""
    review = _review(file)
    return LabelOrigin(CORRECTED, str(review.get("model", ""))) if review else None


def _review(file: Path) -> dict[str, Any]:
    try:
        review = json.loads(file.read_text(encoding="utf-8"))["review"] if file.suffix == LABELS else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return review if isinstance(review, dict) else {}


def approved_labels(folder: Path, name: str) -> tuple[Path, LabelOrigin] | None:
    """The label file of a scan whose review was approved, and the origin of its labels.

    Args:
        folder: of ``toothgraph review --labels``.
        name: of the scan.

    Returns:
        None if the scan was not approved, or is not there.

    Raises:
        LabelError: if the file is not one of a review.
    """
    path = folder / f"{name}{LABELS}"
    if not path.is_file():
        return None
    try:
        review = json.loads(path.read_text(encoding="utf-8"))["review"]
        return (path, LabelOrigin(CORRECTED, str(review["model"]))) if review["state"] == APPROVED else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: expected a label file of `toothgraph review`, cannot read it ({error!r})") from error
