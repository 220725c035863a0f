"""The pages of a review: the list of scans, and the page of a scan with the tools that change its labels."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from toothgraph.report.page import PageScan, page_data, page_template, web_text
from toothgraph.report.sealed import sealed
from toothgraph.report.tooth_table import ToothRow, tooth_table
from toothgraph.review.scans import Opened

UNKNOWN = 255


@lru_cache(maxsize=1)
def list_page() -> str:
    """The HTML page with the list of the scans, which it asks the server for."""
    page = resources.files("toothgraph.review").joinpath("web").joinpath("list.html").read_text(encoding="utf-8")
    return sealed(page.replace("__NUMBERING__", web_text("numbering.js")))


def scan_page(scans: Sequence[tuple[str, Opened]], onward: str) -> str:
    """The HTML page of a scan, or of both jaws of a patient.

    Args:
        scans: the scans with their names.
        onward: the name of the scan to look at next; empty for none.
    """
    shown = [_shown(opened) for _, opened in scans]
    data = page_data(shown, " and ".join(name for name, _ in scans))
    for scan, (name, _) in zip(data["scans"], scans, strict=True):
        scan["name"] = name
    data["review"] = {"home": "../", "onward": onward, "scans": [_stands(opened) for _, opened in scans]}
    page = page_template().replace("default-src 'none';", "default-src 'none'; connect-src 'self';", 1)
    # A scan's name may contain any text: `</script>` in it must not end the script.
    return page.replace("__DATA__", json.dumps(data).replace("<", "\\u003c"))


def confidence_of(opened: Opened, labels: np.ndarray) -> np.ndarray | None:
    """How sure the model is of the label of each face [F]; None without a model.

    NaN where this is not known, and where a person has given the face another label.
    """
    start = opened.start
    return None if start.confidence is None else np.where(labels == start.labels, start.confidence, np.nan)


def teeth_of(opened: Opened, labels: np.ndarray) -> list[dict[str, Any]]:
    """The table of the teeth, in the form that the page reads."""
    rows: list[ToothRow] = tooth_table(opened.surface.mesh, labels, confidence_of(opened, labels))
    return [asdict(row) for row in rows]


def labels_data(labels: np.ndarray) -> str:
    """Labels [F] in the form that the page reads: bytes in base64."""
    return base64.b64encode(np.where(labels < 0, UNKNOWN, labels).astype("u1").tobytes()).decode("ascii")


def _shown(opened: Opened) -> PageScan:
    labels = opened.session.labels
    sure = confidence_of(opened, labels)
    return PageScan(opened.surface.mesh, labels, name="labels", confidence=sure, doubts=opened.known.doubts)


def _stands(opened: Opened) -> dict[str, Any]:
    session = opened.session
    return {"version": session.version, "state": session.state, "undo": len(session.done),
            "redo": len(session.undone), "source": opened.start.source}  # fmt: skip
