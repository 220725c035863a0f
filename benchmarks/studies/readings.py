"""Numbers that fit a tooth by its picture, if its label is not the only one: read by hand, kept in readings.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _read() -> dict[str, Any]:
    content = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return dict(content["scans"])


def reasons() -> dict[str, str]:
    """What the picture of a scan shows, by scan."""
    return {scan: of_scan["why"] for scan, of_scan in _read().items()}


def readings() -> dict[str, dict[int, list[int]]]:
    """The numbers that fit a tooth, by scan and label."""
    return {
        scan: {int(label): fitting for label, fitting in of_scan["numbers"].items()}
        for scan, of_scan in _read().items()
    }


def that_fit_none(scan: str, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs of label and given number in which the number fits no reading of the tooth.

    A tooth without an entry has one reading, its label.
    """
    known = readings().get(scan, {})
    return [(label, given) for label, given in pairs if given not in known.get(label, [label])]
