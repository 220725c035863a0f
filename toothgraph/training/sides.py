"""The scans to train on and to validate on, and where their labels come from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.errors import DataError, check_kind, repeated, some_of
from toothgraph.mesh.label_origin import FOUND

_log = logging.getLogger("toothgraph")


@dataclass(frozen=True)
class Sides:
    """The scans of a training run.

    Attributes:
        train, val: scans to train on and to validate on; ``val`` may be empty.
        labels: whether the labels of the scans are used.
    """

    train: Sequence[Scan]
    val: Sequence[Scan]
    labels: bool

    def facts(self) -> dict[str, Any]:
        """What ``config.json`` says about these scans."""
        facts: dict[str, Any] = {
            "train": [scan.scan_id for scan in self.train], "val": [scan.scan_id for scan in self.val],
            "content": {scan.scan_id: scan.digest for scan in (*self.train, *self.val)},
        }  # fmt: skip
        if self.labels:
            facts["labels"] = {scan.scan_id: str(scan.label_origin) for scan in (*self.train, *self.val)}
        return facts

    def say(self) -> None:
        """Log which scans train and which validate. Warn if a model found all training or some validation labels."""
        _log.info("trains on %s", self._said(self.train))
        if self.val:
            _log.info("validates on %s", self._said(self.val))
        else:
            _log.info(
                "validates on no patient, so there are no validation scores; to have them, name other patients%s under "
                "`val` in a --split file", " with labels" if self.labels else "",
            )  # fmt: skip
        if not self.labels:
            return
        found = [[scan for scan in side if scan.label_origin.kind == FOUND] for side in (self.train, self.val)]
        if len(found[0]) == len(self.train):
            _log.warning(
                "a model found all the labels to train on, and nobody corrected them: the net learns its errors, too; "
                "correct some (toothgraph renumber), or add scans with labels of your own"
            )
        if found[1]:
            _log.warning(
                "a model found the labels of %d of the %d scans to validate on: their scores tell how well this net "
                "agrees with that model, not how good it is", len(found[1]), len(self.val),
            )  # fmt: skip

    def _said(self, scans: Sequence[Scan]) -> str:
        patients = {scan.patient for scan in scans}
        said = f"{_count(len(scans), 'scan')} of {_count(len(patients), 'patient')} ({some_of(sorted(patients))})"
        if self.labels:
            origins = Counter(str(scan.label_origin) for scan in scans)
            said += "; labels: " + ", ".join(f"{count} {origin}" for origin, count in sorted(origins.items()))
        return said


def labelled_sides(scans: Sequence[Scan], split: Split, fraction: float) -> Sides:
    """Labelled scans to train on, from a share of the training patients, and labelled scans to validate on.

    Raises:
        DataError: if there is no labelled scan to train on, there are validation patients without labelled scans, or a
            scan is given twice.
        ShapeError: if an item is no :class:`~toothgraph.data.Scan`.
    """
    _check(scans)
    labelled = [scan for scan in scans if scan.labelled]
    if not labelled:
        raise DataError(
            f"none of {_count(len(scans), 'scan')} has labels; expected a .txt or .json beside each, an array in the "
            "file, or colours with --palette (for prepared scans: with `toothgraph prepare --palette`); to make some, "
            "find them with `toothgraph predict SCANS --out labelled`, correct them with `toothgraph review SCANS "
            "--labels labelled`, and learn from `labelled`"
        )
    return _sides(labelled, split.labelled(fraction), split.val, labels=True)


def unlabelled_sides(scans: Sequence[Scan], split: Split) -> Sides:
    """Scans to train on and to validate on, with or without labels.

    Raises:
        DataError: if there is no scan to train on, there are validation patients without scans, or a scan is given
            twice.
        ShapeError: if an item is no :class:`~toothgraph.data.Scan`.
    """
    _check(scans)
    return _sides(scans, split.train, split.val, labels=False)


def _check(scans: Sequence[Scan]) -> None:
    """Refuse other items, such as the graphs of a ``ScanFolder``, and a scan that is given twice."""
    for scan in scans:
        check_kind("scans, as toothgraph.data.prepare_scan makes them", scan, Scan)
    if twice := repeated(scan.scan_id for scan in scans):
        raise DataError(f"expected each scan once, found several named {some_of(sorted(twice))}")


def _sides(scans: Sequence[Scan], train: Sequence[str], val: Sequence[str], *, labels: bool) -> Sides:
    training, validating = ([scan for scan in scans if scan.patient in side] for side in (train, val))
    sides = Sides(training, validating, labels)
    kind = "labelled scans" if labels else "scans"
    if not sides.train:
        raise DataError(f"expected {kind} of the patients to train on, found none; see --split")
    if val and not sides.val:
        raise DataError(
            f"expected {kind} of the patients to validate on, found none; see --split (an empty list `val` means no "
            "validation)"
        )
    return sides


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
