"""Warnings to review and confidences of a labelled scan, in the JSON beside it.

Under ``doubts``, the JSON has the warnings as sentences. Under ``doubt_parts``, it has an entry for each warning of
which more is known: ``kind``, ``jaw`` (``upper`` or ``lower`` if the file has both jaws and the warning is of one of
them, else null) and ``parts``, pieces of text and lists of FDI numbers. The teeth of a sentence without such an entry
are not known, as in files of former versions.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.anatomy.doubt import OF_NUMBER, OF_NUMBERS, Doubt, as_doubt, renumbered
from toothgraph.anatomy.tooth_text import tooth_text
from toothgraph.fdi import JAW_NAMES, UNKNOWN_JAW
from toothgraph.mesh.label_origin import LabelOrigin

_NAMES: dict[int, str | None] = {**JAW_NAMES, UNKNOWN_JAW: None}
_JAWS = {name: jaw for jaw, name in _NAMES.items()}


@dataclass(frozen=True)
class Said:
    """The warnings and confidences in the JSON beside a labelled scan.

    Attributes:
        doubts: warnings to review.
        confidence: the confidence of each tooth, by FDI number; a tooth that a person has renumbered has none.
        told: whether the JSON has a list of warnings, which may be empty.
    """

    doubts: list[Doubt] = field(default_factory=list)
    confidence: dict[int, float] = field(default_factory=dict)
    told: bool = False

    def on_faces(self, labels: np.ndarray) -> np.ndarray | None:
        """The confidence [F] of faces with these labels [F]; None if no confidence is known.

        It is NaN for gingiva, and for a tooth without a confidence, as a person has given its number.
        """
        if not self.confidence:
            return None
        numbers, which = np.unique(labels, return_inverse=True)
        of_number = [self.confidence.get(fdi, np.nan) for fdi in numbers.tolist()]
        sure: np.ndarray = np.array(of_number)[which]
        return sure


def said_of_labels(scan: Path, origin: LabelOrigin) -> Said:
    """The warnings and confidences beside a labelled scan that are still true of its labels.

    If a person has changed a number since, its confidence and the warnings of this number are left out.
    """
    said, changed = said_of(scan), origin.changed
    sure = {fdi: share for fdi, share in said.confidence.items() if fdi not in changed}
    return Said([now for doubt in said.doubts if (now := _of_others(doubt, changed))], sure, said.told)


def said_now(doubts: Iterable[Doubt], before: np.ndarray, now: np.ndarray) -> list[Doubt]:
    """The warnings that are still true after a person has given faces other labels.

    A warning of the shape of a tooth moves to its new number. A warning of a number that was changed is left out.

    Args:
        doubts: the warnings of the former labels.
        before, now: [F] former and present FDI numbers.
    """
    changed = changed_numbers(before, now)
    if not changed:
        return list(doubts)
    kept = [left for doubt in doubts if (left := _of_others(doubt, changed))]
    pairs, faces = np.unique(np.stack([before, now]), axis=1, return_counts=True)
    most = pairs[:, np.argsort(faces, kind="stable")]  # the last pair of a former number has most faces, and counts
    numbers = dict(most.T.tolist())
    same = all(former == number for former, number in numbers.items())  # only borders have changed
    return kept if same else renumbered(kept, numbers)


def changed_numbers(before: np.ndarray, now: np.ndarray) -> set[int]:
    """The FDI numbers that do not have the same faces in two labellings [F]."""
    differ = before != now
    return set(np.unique([before[differ], now[differ]]).tolist())


def _of_others(doubt: Doubt, changed: Collection[int]) -> Doubt | None:
    """A warning without the numbers that were changed; None if nothing is left of it.

    A warning of several numbers together is left out as soon as one of them was changed. Warnings that are not about
    numbers stay as they are.
    """
    if doubt.kind not in (*OF_NUMBER, *OF_NUMBERS) or not (touched := set(changed).intersection(doubt.text.teeth)):
        return doubt
    left = doubt.text.with_teeth(lambda fdi: None if fdi in touched else fdi)
    return replace(doubt, text=left) if left.teeth and doubt.kind in OF_NUMBER else None


def said_of(scan: Path) -> Said:
    """The warnings and confidences beside a labelled scan, in ``<stem>.json``; empty if it cannot be read."""
    try:
        content = json.loads(scan.with_suffix(".json").read_text(encoding="utf-8-sig"))
        sure = {int(fdi): float(share) for fdi, share in content.get("confidence", {}).items()}
        return Said(doubts_in(content), sure, "doubts" in content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no JSON, or one of another program
        return Said()


def doubts_content(doubts: Iterable[Doubt | str]) -> dict[str, list[Any]]:
    """Warnings as they are stored in a JSON: the keys ``doubts`` and ``doubt_parts``."""
    told = list(map(as_doubt, doubts))
    parts = [{"kind": doubt.kind, "jaw": _NAMES[doubt.jaw], "parts": list(map(_stored, doubt.text.parts))}
             for doubt in told if doubt != as_doubt(str(doubt))]  # fmt: skip
    return {"doubts": list(map(str, told)), "doubt_parts": parts}


def doubts_in(content: Mapping[str, Any]) -> list[Doubt]:
    """The warnings in the content of a JSON.

    Raises:
        ValueError, KeyError, TypeError: if the keys ``doubts`` and ``doubt_parts`` do not have the expected content.
    """
    known = {str(doubt): doubt for doubt in map(_doubt, content.get("doubt_parts", []))}
    return [known.get(said, as_doubt(said)) for said in map(str, content.get("doubts", []))]


def _doubt(stored: Mapping[str, Any]) -> Doubt:
    return Doubt(str(stored["kind"]), tooth_text(*stored["parts"]), _JAWS[stored["jaw"]])


def _stored(part: str | tuple[int, ...]) -> str | list[int]:
    return part if isinstance(part, str) else list(part)
