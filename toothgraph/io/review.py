"""What ``predict`` said of a scan beside its labels: warnings to review, and how sure each number is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# A warning of single teeth: what is before their numbers, the numbers, and what is said of them.
_OF_TEETH = re.compile(
    r"((?:(?:upper|lower) jaw: )?(?:review |brackets or attachments on )?)"
    r"(\d\d(?:, \d\d)*)(: | is \d| shows | look | are )(.*)"
)
_OF_NUMBERS = re.compile(r"(?:(?:upper|lower) jaw: )?review the numbers: ")
_OF_JAW = re.compile(r"(?:(?:upper|lower) jaw: )?labelled as ")


@dataclass(frozen=True)
class Review:
    """What the JSON beside a labelled scan says of it.

    Attributes:
        doubts: warnings to review.
        confidence: of teeth, by FDI number; a tooth that a person has renumbered has none.
    """

    doubts: list[str] = field(default_factory=list)
    confidence: dict[int, float] = field(default_factory=dict)

    def on_faces(self, labels: np.ndarray) -> np.ndarray | None:
        """The confidence [F] of faces with these labels [F], None where nothing is said. Of what it does not name, a
        person has said the number: 1."""
        if not self.confidence:
            return None
        numbers, which = np.unique(labels, return_inverse=True)
        sure: np.ndarray = np.array([self.confidence.get(fdi, 1.0) for fdi in numbers.tolist()])[which]
        return sure


def review_of(scan: Path) -> Review:
    """The review beside a labelled scan, from ``<stem>.json``; empty if there is none that can be read."""
    try:
        content = json.loads(scan.with_suffix(".json").read_text(encoding="utf-8"))
        sure = {int(fdi): float(share) for fdi, share in content.get("confidence", {}).items()}
        return Review([str(doubt) for doubt in content.get("doubts", [])], sure)
    except (OSError, ValueError, TypeError, AttributeError):  # no JSON, or one of another program
        return Review()


def renumbered_doubts(doubts: Iterable[str], numbers: Mapping[int, int]) -> list[str]:
    """The warnings that are still true when a person has given teeth other numbers.

    What is said of the shape of a tooth goes along to its new number. What is said of a number, or of how sure the
    model is of it, is gone where a person has changed it, and so is what is said of two teeth that are one now.

    Args:
        doubts: warnings, as ``predict`` writes them.
        numbers: former to new number of each tooth.

    Example:
        >>> renumbered_doubts(["41 is 2.2 times as wide as usual: are these two teeth?"], {41: 31})
        ['31 is 2.2 times as wide as usual: are these two teeth?']
    """
    joined = {now for now, times in Counter(numbers.values()).items() if times > 1}
    other_jaw = any(before > 0 and now > 0 and _lower(before) != _lower(now) for before, now in numbers.items())
    kept = []
    for doubt in doubts:
        if _OF_NUMBERS.match(doubt) or (other_jaw and _OF_JAW.match(doubt)):
            continue
        found = _OF_TEETH.fullmatch(doubt)
        if not found:
            kept.append(doubt)
            continue
        before, listed, verb, after = found.groups()
        teeth = [int(number) for number in listed.split(", ")]
        of_number = before.endswith("review ") or verb in (" look ", " are ")
        now = {fdi: numbers.get(fdi, fdi) for fdi in teeth}
        left = [own for fdi, own in now.items() if own > 0 and own not in joined and not (of_number and own != fdi)]
        said = f"{verb}{after}"
        if any(fdi % 10 != own % 10 for fdi, own in now.items()):  # what is usual depends on the kind of tooth
            said = re.sub(r"[\d.]+ times as wide as usual", "wider than usual", said)
            said = re.sub(r"\d+% of the usual area", "less than the usual area", said)
        kept += [f"{before}{', '.join(map(str, left))}{said}"] * bool(left)
    return kept


def _lower(fdi: int) -> bool:
    return fdi // 10 in (3, 4, 7, 8)
