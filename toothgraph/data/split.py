"""Split scans into training and validation by patient: both jaws of a patient are on the same side."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toothgraph.errors import ConfigError, DataError, check_names, check_number, repeated, some_of
from toothgraph.fdi import LOWER, UPPER
from toothgraph.scan_names import above_dates, composed, printable, together_by
from toothgraph.system.files import check_there
from toothgraph.system.provenance import sha256

Item = TypeVar("Item")
_log = logging.getLogger("toothgraph")
_LONE = 4  # labelled scans; fewer scans may well all be of different patients
_HEAD = 1 << 16  # bytes at the beginning of a file, which differ between any two scans
_LIST = (
    "give `toothgraph prepare` a list in .csv with the columns path, patient and jaw, or name the patients to train on "
    "in a --split file"
)
_EXPECTED = 'expected a JSON split {"train": [patients], "val": [patients]}, of which "val" may be empty'


@dataclass(frozen=True)
class Split:
    """Patients by role.

    Attributes:
        train, val: patient ids for training and validation.
        test: patient ids kept for a final test, in neither ``train`` nor ``val``; no training reads their scans.
        fractions: for each per cent of labels, the training patients with labels; nested, may be empty.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    fractions: dict[int, tuple[str, ...]]
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if both := repeated([*{*self.train}, *{*self.val}, *{*self.test}]):
            raise ConfigError(
                f"expected each patient in one list of the split, found in several: {some_of(sorted(both))}; keep each "
                "in one list"
            )
        strange = sorted({patient for ids in self.fractions.values() for patient in ids} - set(self.train))
        if strange:
            raise ConfigError(
                f"expected only patients of `train` in label_fraction_percent, found others: {some_of(strange)}"
            )

    def labelled(self, fraction: float) -> tuple[str, ...]:
        """The training patients with usable labels at this fraction (0 … 1].

        Raises:
            ConfigError: if the fraction is out of range.
        """
        if not 0 < fraction <= 1:
            raise ConfigError(f"expected a label fraction above 0 and up to 1, got {fraction:g}")
        percent = round(100 * fraction)
        if percent in self.fractions:
            return self.fractions[percent]
        # The order of a patient depends only on that patient, and patients of smaller listed fractions come
        # first. So all fractions are nested.
        listed = {patient: key for key in sorted(self.fractions, reverse=True) for patient in self.fractions[key]}
        order = sorted(
            self.train, key=lambda patient: (listed.get(patient, 100), zlib.crc32(patient.encode()), patient)
        )
        return tuple(sorted(order[: max(1, round(fraction * len(order)))]))


def _patients(ids: object) -> tuple[str, ...]:
    if not isinstance(ids, list):
        raise TypeError(f"expected a list of patients, found {ids!r}")
    return tuple(composed(str(one)) for one in ids)


def load_split(path: str | Path) -> Split:
    """Read a split file: JSON with ``train`` and ``val``, and optionally ``test`` and ``label_fraction_percent``.

    Raises:
        ConfigError: if the file is missing or malformed, a patient is on two sides, or a label fraction contains a
            patient who is not in ``train``.
    """
    path = Path(path)
    check_there(path, ConfigError)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict) or not content.keys() >= {"train", "val"}:
            keys = ", ".join(map(repr, content)) if isinstance(content, dict) else ""
            raise ConfigError(f"{path}: {_EXPECTED}, found {f'the keys {keys}' if keys else 'no such keys'}")
        train, val, test = (_patients(content.get(side, [])) for side in ("train", "val", "test"))
        listed = content.get("label_fraction_percent", {})
        fractions = {int(key): _patients(ids) for key, ids in listed.items()}
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the split file ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: {_EXPECTED}, found something else: {error}") from error
    try:
        return Split(train, val, fractions, test)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def make_split(
    patients: Iterable[str], val_fraction: float, seed: int, candidates: Iterable[str] | None = None
) -> Split:
    """Hold out a share of the patients for validation, chosen by a hash of seed and patient.

    At least one is held out, unless the share is 0 or nobody would be left to train on.

    Args:
        patients: all patients.
        val_fraction: the share of all patients to hold out.
        seed: seed of the choice.
        candidates: the patients who may be held out; by default all of them.

    Raises:
        DataError: if there are no patients.
        ConfigError: for a share below 0 or above 1, or a single name in place of a list.

    Example:
        >>> from toothgraph.scan_names import patient_of
        >>> split = make_split(map(patient_of, ["007_U", "007_L", "008_U", "009_U"]), 0.34, seed=0)
        >>> len(split.train), len(split.val)  # patients, not scans
        (2, 1)
    """
    check_names("patients", patients)
    check_names("candidates", candidates)
    check_number("val_fraction", val_fraction, least=0, most=1)
    everybody = sorted(set(patients))
    if not everybody:
        raise DataError("expected scans of at least one patient to train on, found none")
    free = everybody if candidates is None else sorted(set(candidates) & set(everybody))
    order = sorted(free, key=lambda patient: (zlib.crc32(f"{seed}/{patient}".encode()), patient))
    wanted = max(1, round(val_fraction * len(everybody))) if val_fraction > 0 else 0
    held = order[: min(wanted, len(everybody) - 1)]
    return Split(tuple(sorted(set(everybody) - set(held))), tuple(sorted(held)), {})


def of_patients(items: Sequence[Item], whose: Sequence[str], patients: Sequence[str]) -> list[Item]:
    """The items of some patients; ``whose`` is the patient of each item."""
    wanted = set(patients)
    return [item for item, patient in zip(items, whose, strict=True) if patient in wanted]


def warn_of_missing(path: Path, wanted: Iterable[str], found: Iterable[str]) -> None:
    """Warn about patients of a split file without a scan; their names may be spelled in another way."""
    patients = set(wanted)
    missing = sorted(patients - set(found))
    if missing:
        count = f"{len(missing)} of the {len(patients)} patients"
        _log.warning("%s: no scan was found for %s that it names: %s", path, count, some_of(missing))


def warn_of_lone_jaws(patients: Sequence[str], jaws: Iterable[int]) -> None:
    """Warn if at least half of the scans are the only scan of their patient, and both jaws are among these scans.

    The names may then make two patients of the two jaws of one patient, who may so be in training and in validation.

    Args:
        patients: the patient of each labelled scan.
        jaws: the jaw of each scan: 0 upper, 1 lower, -1 unknown.
    """
    lone = {patient: own[0] for patient, own in together_by(jaws, patients).items() if len(own) == 1}
    if len(lone) < max(_LONE, len(patients) / 2) or not {UPPER, LOWER} <= {*lone.values()}:
        return
    which = f"{len(lone)} labelled scans (of {len(patients)})"
    if len(lone) == len(patients):
        which = f"the {len(lone)} labelled scans"
    _log.warning(
        "there are upper and lower jaws, but no two of %s have the name of one patient (%s). If two are of one "
        "patient, this patient may be in training and in validation; to prevent this, %s",
        which, some_of(sorted(lone)), _LIST,
    )  # fmt: skip


def warn_of_same_files(files: Sequence[Path], whose: Sequence[str]) -> None:
    """Warn of files with the same content that belong to several patients.

    For example ``anna_upper.stl`` and ``anna_upper (1).stl``: a scan may be in training, and its copy in validation.

    Args:
        files: the files of the scans.
        whose: the patient of each file.
    """
    patients = dict(zip(files, whose, strict=True))
    begin = together_by(files, list(map(_begin_of, files)))
    begin.pop("", None)
    alike = [
        own
        for some in begin.values()
        if len({patients[file] for file in some}) > 1
        for own in together_by(some, list(map(sha256, some))).values()
    ]
    same = [
        " = ".join(printable(str(file)) for file in own) for own in alike if len({patients[file] for file in own}) > 1
    ]
    if same:
        _log.warning(
            "files with the same content count as scans of several patients, so that one scan may be in training and "
            "in validation; keep one of them: %s", some_of(same, 3),
        )  # fmt: skip


def _begin_of(file: Path) -> str:
    """The size of a file and a hash of its first bytes; empty for a folder or a file that cannot be read."""
    try:
        with file.open("rb") as stream:
            return f"{file.stat().st_size} {hashlib.sha256(stream.read(_HEAD)).hexdigest()}"
    except OSError:
        return ""


def warn_of_visits(files: Sequence[Path], whose: Sequence[str]) -> None:
    """Warn of folders with subfolders by date that count as several patients.

    The subfolders may be visits of one patient, who may then be in training and in validation. There is no warning of a
    folder that contains all files.

    Args:
        files: the files of the scans.
        whose: the patient of each file.
    """
    patients: dict[Path, set[str]] = {}
    for file, patient in zip(files, whose, strict=True):
        if folder := above_dates(file):
            patients.setdefault(folder, set()).add(patient)
    above = [set(file.resolve().parents) for file in files]
    several = [folder for folder, own in patients.items() if len(own) > 1 and any(folder not in each for each in above)]
    if several:
        _log.warning(
            "in %s, each folder named by a date counts as one patient. If these are visits of one patient, this "
            "patient may be in training and in validation; to prevent this, %s",
            some_of([printable(str(folder)) for folder in several], 3), _LIST,
        )  # fmt: skip
