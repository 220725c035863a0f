"""What ``predict`` said of a scan beside its labels: warnings to review, and how sure each number is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Review:
    """What the JSON beside a labelled scan says of it.

    Attributes:
        doubts: warnings to review.
        confidence: of teeth, by FDI number; a tooth that a person has renumbered has none.
    """

    doubts: list[str] = field(default_factory=list)
    confidence: dict[int, float] = field(default_factory=dict)


def review_of(scan: Path) -> Review:
    """The review beside a labelled scan, from ``<stem>.json``; empty if there is none that can be read."""
    try:
        content = json.loads(scan.with_suffix(".json").read_text(encoding="utf-8"))
        sure = {int(fdi): float(share) for fdi, share in content.get("confidence", {}).items()}
        return Review([str(doubt) for doubt in content.get("doubts", [])], sure)
    except (OSError, ValueError, TypeError, AttributeError):  # no JSON, or one of another program
        return Review()
