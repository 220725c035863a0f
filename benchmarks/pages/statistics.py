"""Statistics of the rows of a training study: which rows may be compared, and by how much they differ."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from toothgraph.errors import DataError, some_of
from toothgraph.scan_names import patient_of

Row = dict[str, Any]
SHARES_OF_STEPS = (0.25, 0.5, 0.75, 1.0)
DRAWS = 10_000  # of the bootstrap


def studies(rows: list[Row]) -> dict[tuple[str, str, str, int, int], list[Row]]:
    """Groups of rows that may be compared: with the same protocol, data set, recipe, steps and faces."""
    found: dict[tuple[str, str, str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["protocol"], row["dataset"], row["recipe"], row["steps"], row["faces"]].append(row)
    for key, own in found.items():
        if len({row["pretrain_steps"] for row in own if "pretrain_steps" in row}) > 1:
            raise DataError(f"{key}: rows of different pre-trainings; give them a --protocol of their own")
    return dict(sorted(found.items()))


def rates_of(row: Row) -> tuple[float, float]:
    """The highest learning rate of a run, and the rate of its backbone as a share of it."""
    return row["lr"], row["backbone_rate"]


def cells(rows: list[Row]) -> dict[tuple[str, int], list[Row]]:
    """The rows of each initialisation and share of labels, one for each seed, at the learning rates of the tables.

    These are the learning rates that were run with the most seeds. If several have as many seeds, those with the best
    mean are taken. So every initialisation is tuned, separately for each share of labels.
    """
    found: dict[tuple[str, int], list[Row]] = {}
    for (init, fraction, _), own in by_rates(rows).items():
        best = found.get((init, fraction), [])
        if not best or (len(own), mean_miou(own)) > (len(best), mean_miou(best)):
            found[init, fraction] = own
    return found


def has_pair(rows: list[Row]) -> bool:
    """Whether any share was run from scratch and pre-trained with the same seed. Otherwise a curve would mislead."""
    return bool(compared(rows))


def gains(rows: list[Row]) -> dict[int, float]:
    """The gain of pre-training over scratch in `miou`, for the shares of labels with a common seed."""
    return {fraction: paired_interval(ours, base)[0] for fraction, (ours, base) in compared(rows).items()}


def compared(rows: list[Row]) -> dict[int, tuple[list[Row], list[Row]]]:
    """The rows pre-trained and from scratch, for the shares of labels with a common seed."""
    found = cells(rows)
    pairs = {share: (found.get(("pretrained", share), []), base) for (init, share), base in found.items()
             if init == "scratch"}  # fmt: skip
    return {share: pair for share, pair in sorted(pairs.items()) if common_seeds(*pair)}


def per_patient(row: Row, score: str) -> dict[str, float]:
    """The mean of a score over the scans of each patient."""
    values: dict[str, list[float]] = defaultdict(list)
    for scan in row["per_scan"]:
        values[patient_of(scan["scan_id"])].append(scan[score])
    return {patient: float(np.mean(own)) for patient, own in sorted(values.items())}


def by_seed(rows: list[Row], base: list[Row], score: str) -> tuple[np.ndarray, np.ndarray]:
    """The scores of each patient in ``rows`` and in ``base``, each [seeds, patients].

    Raises:
        DataError: if the rows do not have the same patients.
    """
    found = [per_patient(row, score) for row in (*rows, *base)]
    if strange := {patient for own in found for patient in own.keys() ^ found[0].keys()}:
        raise DataError(
            f"rows of different patients cannot be compared: not all rows have {some_of(sorted(strange))}; keep the "
            "rows of each split in a file of their own, with --out"
        )
    values = np.array([list(own.values()) for own in found])
    return values[: len(rows)], values[len(rows) :]


def common_seeds(rows: list[Row], base: list[Row]) -> set[int]:
    """The seeds that both sets of rows have."""
    return {row["seed"] for row in rows} & {row["seed"] for row in base}


def paired_interval(rows: list[Row], base: list[Row], score: str = "miou") -> tuple[float, float, float]:
    """The result of :func:`mean_interval` for the seeds that both sets of rows have."""
    return mean_interval(*of_common_seeds(rows, base), score)


def of_common_seeds(rows: list[Row], base: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of both sides with seeds that both sides have."""
    seeds = common_seeds(rows, base)
    return [row for row in rows if row["seed"] in seeds], [row for row in base if row["seed"] in seeds]


def patient_gains(rows: list[Row], base: list[Row], score: str) -> dict[str, float]:
    """For each patient, the difference between the means of both sides over their seeds."""
    ours, theirs = by_seed(rows, base, score)
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    return dict(zip(per_patient(rows[0], score), difference.tolist(), strict=True))


def mean_interval(rows: list[Row], base: list[Row], score: str) -> tuple[float, float, float]:
    """Mean difference over patients, and its 95 % interval by a bootstrap.

    The bootstrap draws patients, the same ones on both sides, and seeds on each side. With a single seed, the interval
    does not include how seeds differ.
    """
    rng = np.random.default_rng(0)
    ours, theirs = by_seed(rows, base, score)
    patients = rng.integers(ours.shape[1], size=(DRAWS, 1, ours.shape[1]))

    def drawn(values: np.ndarray) -> np.ndarray:
        seeds = rng.integers(len(values), size=(DRAWS, len(values), 1))
        return values[seeds, patients].mean(axis=(1, 2))

    low, high = np.quantile(drawn(ours) - drawn(theirs), [0.025, 0.975])
    return float(ours.mean() - theirs.mean()), float(low), float(high)


def mean_miou(rows: list[Row]) -> float:
    """The mean `miou` over the seeds."""
    return float(np.mean([row["scores"]["miou"] for row in rows]))


def by_rates(rows: list[Row]) -> dict[tuple[str, int, tuple[float, float]], list[Row]]:
    """The rows of each initialisation, share of labels and pair of rates, sorted by seed."""
    tried: dict[tuple[str, int, tuple[float, float]], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["seed"]):
        tried[row["init"], row["fraction"], rates_of(row)].append(row)
    return tried


def reached(rows: list[Row]) -> list[float]:
    """The mean `val_miou` over some runs at SHARES_OF_STEPS."""
    return [float(np.mean([nearest(row, share) for row in rows])) for share in SHARES_OF_STEPS]


def nearest(row: Row, share: float) -> float:
    """The `val_miou` of the validation nearest to a share of a run's steps."""
    step = min(row["curve"], key=lambda step: abs(int(step) - share * row["steps"]))
    return float(row["curve"][step])
