"""How sure a mean score is: intervals over patients, and the difference of two results on the same scans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toothgraph.metrics.definitions import FLAT

_DRAWS = 10_000  # number of draws of the bootstrap
Row = Mapping[str, Any]


def mean_interval(values: Sequence[float], patients: Sequence[str]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of values [n], by a bootstrap over patients.

    All scans of a patient, such as both jaws, are drawn together.

    Args:
        values: one per scan.
        patients: the patient of each scan.

    Returns:
        The lower and the upper limit; None for fewer than two patients.

    Example:
        >>> low, high = mean_interval([0.8, 0.9, 1.0], ["a", "b", "b"])
        >>> round(low, 2), round(high, 2)
        (0.8, 0.95)
    """
    own: dict[str, list[float]] = defaultdict(list)
    for value, patient in zip(values, patients, strict=True):
        own[patient].append(value)
    if len(own) < 2:
        return None
    total, count = np.array([(sum(each), len(each)) for each in own.values()]).T
    drawn = np.random.default_rng(0).integers(len(own), size=(_DRAWS, len(own)))
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def intervals(rows: Sequence[Row]) -> dict[str, tuple[float, float] | None]:
    """The interval of the mean of each score, except the challenge scores; None where it is not defined.

    Args:
        rows: one per scan, with ``patient`` and every score.
    """
    found = {}
    for key in FLAT:
        known = [row for row in rows if row.get(key) is not None]
        found[key] = mean_interval([row[key] for row in known], [row["patient"] for row in known])
    return found


def compared(rows: Sequence[Row], others: Sequence[Row]) -> dict[str, Any]:
    """Compare two results on the same scans, scan by scan.

    Args:
        rows: one per scan, with ``scan_id``, ``patient`` and every score.
        others: such rows of the other result.

    Returns:
        A dictionary with these keys. ``scans`` and ``patients``: how many of them are in both results. ``unlike``: how
        many names are in both results but belong to different scans, judged by patient, number of faces and surface as
        far as both results have these. ``scores``: for each score, the means ``this`` and ``other`` over the common
        scans that have it in both results, their ``difference``, and its ``interval``.
    """
    other = {row["scan_id"]: row for row in others}
    named = [row for row in rows if row["scan_id"] in other]
    both = [row for row in named if _alike(row, other[row["scan_id"]])]
    scores = {}
    for key in FLAT:
        known = [row for row in both if row.get(key) is not None and other[row["scan_id"]].get(key) is not None]
        if known:
            ours = np.array([row[key] for row in known])
            theirs = np.array([other[row["scan_id"]][key] for row in known])
            scores[key] = {
                "this": float(ours.mean()), "other": float(theirs.mean()), "difference": float((ours - theirs).mean()),
                "interval": mean_interval((ours - theirs).tolist(), [row["patient"] for row in known]),
            }  # fmt: skip
    patients = len({row["patient"] for row in both})
    return {"scans": len(both), "patients": patients, "unlike": len(named) - len(both), "scores": scores}


def _alike(row: Row, other: Row) -> bool:
    """Whether two rows with the same name are of the same scan, judged by the keys that both have."""
    return all(row[key] == other[key] for key in ("patient", "faces", "surface") if key in row and key in other)
