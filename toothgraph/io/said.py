"""What is said of a scan in the JSON beside its labels: warnings to review, and how sure each number is.

Under ``doubts``, the JSON has the warnings as sentences. Under ``doubt_parts`` it has, for those of which it is known,
``kind``, ``jaw`` (``upper`` or ``lower`` where the warning is of one of two jaws, else null) and ``parts``: pieces of
text, and lists of the FDI numbers of teeth. A sentence that is not there has no known teeth, as in files of before.
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
    """What the JSON beside a labelled scan says of it.

    Attributes:
        doubts: warnings to review.
        confidence: of teeth, by FDI number; a tooth that a person has renumbered has none.
        told: whether it says which warnings there are, if only that there are none.
    """

    doubts: list[Doubt] = field(default_factory=list)
    confidence: dict[int, float] = field(default_factory=dict)
    told: bool = False

    def on_faces(self, labels: np.ndarray) -> np.ndarray | None:
        """The confidence [F] of faces with these labels [F], None where nothing is said; NaN where it is not known: of
        gingiva, and of a tooth that it does not name, since a person has said its number."""
        if not self.confidence:
            return None
        numbers, which = np.unique(labels, return_inverse=True)
        of_number = [self.confidence.get(fdi, np.nan) for fdi in numbers.tolist()]
        sure: np.ndarray = np.array(of_number)[which]
        return sure


def said_of_labels(scan: Path, origin: LabelOrigin) -> Said:
    """What is said beside a labelled scan, and is still true of its labels: how sure the model was of a number, and
    what is said of numbers, are not, where a person has changed that number since."""
    said, changed = said_of(scan), origin.changed
    sure = {fdi: share for fdi, share in said.confidence.items() if fdi not in changed}
    return Said([now for doubt in said.doubts if (now := _of_others(doubt, changed))], sure, said.told)


def said_now(doubts: Iterable[Doubt], before: np.ndarray, now: np.ndarray) -> list[Doubt]:
    """Warnings that are still true when a person has given faces other labels: what is said of the shape of a tooth
    goes along to its new number, what is said of a number that was changed is gone.

    Args:
        doubts: what was said of the former labels.
        before, now: [F] former and present FDI numbers.
    """
    changed = changed_numbers(before, now)
    if not changed:
        return list(doubts)
    kept = [left for doubt in doubts if (left := _of_others(doubt, changed))]
    pairs, faces = np.unique(np.stack([before, now]), axis=1, return_counts=True)
    most = pairs[:, np.argsort(faces, kind="stable")]  # of several new numbers, that of most faces comes last
    numbers = dict(most.T.tolist())
    same = all(former == number for former, number in numbers.items())  # only borders are others
    return kept if same else renumbered(kept, numbers)


def changed_numbers(before: np.ndarray, now: np.ndarray) -> set[int]:
    """The FDI numbers of either labels [F] that have other faces in the other ones."""
    differ = before != now
    return set(np.unique([before[differ], now[differ]]).tolist())


def _of_others(doubt: Doubt, changed: Collection[int]) -> Doubt | None:
    """A warning without what it says of changed numbers; None if nothing is left."""
    if doubt.kind not in (*OF_NUMBER, *OF_NUMBERS) or not (touched := set(changed).intersection(doubt.text.teeth)):
        return doubt
    left = doubt.text.with_teeth(lambda fdi: None if fdi in touched else fdi)
    return replace(doubt, text=left) if left.teeth and doubt.kind in OF_NUMBER else None


def said_of(scan: Path) -> Said:
    """What is said beside a labelled scan, in ``<stem>.json``; nothing if there is none that can be read."""
    try:
        content = json.loads(scan.with_suffix(".json").read_text(encoding="utf-8-sig"))
        sure = {int(fdi): float(share) for fdi, share in content.get("confidence", {}).items()}
        return Said(doubts_in(content), sure, "doubts" in content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no JSON, or one of another program
        return Said()


def doubts_content(doubts: Iterable[Doubt | str]) -> dict[str, list[Any]]:
    """Warnings as a JSON has them: the keys ``doubts`` and ``doubt_parts``."""
    told = list(map(as_doubt, doubts))
    parts = [{"kind": doubt.kind, "jaw": _NAMES[doubt.jaw], "parts": list(map(_stored, doubt.text.parts))}
             for doubt in told if doubt != as_doubt(str(doubt))]  # fmt: skip
    return {"doubts": list(map(str, told)), "doubt_parts": parts}


def doubts_in(content: Mapping[str, Any]) -> list[Doubt]:
    """The warnings in the content of a JSON.

    Raises:
        ValueError, KeyError, TypeError: if these keys have something else.
    """
    known = {str(doubt): doubt for doubt in map(_doubt, content.get("doubt_parts", []))}
    return [known.get(said, as_doubt(said)) for said in map(str, content.get("doubts", []))]


def _doubt(stored: Mapping[str, Any]) -> Doubt:
    return Doubt(str(stored["kind"]), tooth_text(*stored["parts"]), _JAWS[stored["jaw"]])


def _stored(part: str | tuple[int, ...]) -> str | list[int]:
    return part if isinstance(part, str) else list(part)
