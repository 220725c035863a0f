"""Patients of several scans: from their names, from the other scan in the folder, from the names of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.scan_names.characters import composed, printable, short_enough, stem_of
from toothgraph.scan_names.outputs import folders_of, joined, long_names
from toothgraph.scan_names.words import (
    JAW_WORD,
    all_words,
    jaw_from_name,
    patient_of,
    telling_words,
    tells,
    without_jaw,
)

Item = TypeVar("Item")
_DATE = re.compile(r"(?:19|20)\d\d([-_. ]?)[01]\d\1[0-3]\d|[0-3]?\d([-_. ])[01]?\d\2(?:19|20)\d\d")


@dataclass(frozen=True)
class Case:
    """Two scans in one folder that are the two jaws of a patient.

    Attributes:
        patient: the patient in the names of the scans, or else the name of the folder.
        jaws: 0 upper, 1 lower, by file.
        folder: the folder, if its name is the patient; else None.
    """

    patient: str
    jaws: dict[Path, int]
    folder: Path | None = None


def cases_of(files: Sequence[Path]) -> dict[Path, Case]:
    """The case of each scan that belongs to a case.

    A case is a folder with exactly two scans. The name of one scan says its jaw, and the name of the other does not say
    the same jaw. So the jaw of the other scan is known, too.

    Two scans are no case if their names have different words, because they are of different patients or one of them
    shows something else: ``anna_upper.stl`` and ``ben.stl``, ``1_1_upper.stl`` and ``1_lower.stl``, ``upper.stl`` and
    ``bite.stl``.

    Args:
        files: all scans that were found.
    """
    found: dict[Path, Case] = {}
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    for folder, own in folders.items():
        jaws = [jaw_from_name(file) for file in own]
        if len(own) != 2 or not ({*jaws} & {UPPER, LOWER}) or jaws[0] == jaws[1]:
            continue
        if not _may_be_one([stem_of(file) for file in own], jaws):
            continue
        known = next(jaw for jaw in jaws if jaw != UNKNOWN_JAW)
        told = [UPPER + LOWER - known if jaw == UNKNOWN_JAW else jaw for jaw in jaws]
        by_jaw = [stem_of(file) for file, jaw in zip(own, jaws, strict=True) if jaw != UNKNOWN_JAW]
        named = next(filter(telling_words, by_jaw), None)
        patient = without_jaw(named) if named else folder.resolve().name
        case = Case(composed(printable(patient)) or "unnamed", dict(zip(own, told, strict=True)),
                    None if named else folder.resolve())  # fmt: skip
        found.update(dict.fromkeys(own, case))
    return found


def _may_be_one(names: Sequence[str], jaws: Sequence[int]) -> bool:
    """Whether two names may be of one patient.

    If both names say a jaw, they must have the same telling words, or one of them has only words for the kind of file.
    If one name says no jaw, it may only have telling words of the other name, in the same order.
    """
    one, other = map(telling_words, names)
    if UNKNOWN_JAW not in jaws:
        return one == other or any(not telling_words(name) and all_words(name) for name in names)
    quiet, telling = (one, iter(other)) if jaws[0] == UNKNOWN_JAW else (other, iter(one))
    return all(word in telling for word in quiet)


def told_jaw(file: Path, cases: Mapping[Path, Case]) -> int | None:
    """The jaw of a scan, 0 or 1, if only the name of the other scan of its case tells it; else None."""
    return cases[file].jaws[file] if file in cases and jaw_from_name(file) == UNKNOWN_JAW else None


def patients_of(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """The patient of each scan, from the name of its output, or else from its case or its folder.

    Where the name of the output does not tell the patient, the case of the scan does (:func:`cases_of`). Where such
    scans lie in several folders, the nearest folder whose name tells a patient counts, so that two people are not taken
    for one patient.
    """
    cases, patients = cases_of(files), dict(zip(files, map(_by_name, files, names), strict=True))
    by_name, places = dict(patients), {}
    for file in files:
        case = cases.get(file)
        own = {by_name[other] for other in case.jaws} if case else {by_name[file]}
        if len(own) == 1 and tells(*own):  # both names of the case agree
            continue
        if case:
            patients[file] = case.patient
        if case is None or case.folder:
            places[file] = case.folder if case and case.folder else _telling(file)
    folders = list(dict.fromkeys(places.values()))
    if len(folders) > 1:
        whose = dict(zip(folders, map(composed, long_names(folders)), strict=True))
        patients |= {file: whose[place] if file in cases else without_jaw(whose[place], told=True)
                     for file, place in places.items()}  # fmt: skip
    return [patients[file] or "unnamed" for file in files]


def _by_name(file: Path, name: str) -> str:
    """The patient of a scan, from the name of its output.

    If several folders stand in front of the name, parts that only say a jaw or a kind of file are left out:
    ``anna_upper_scan`` of ``anna/upper/scan.stl`` is of ``anna``.
    """
    folders, stem = folders_of(file), printable(stem_of(file))
    for length in range(len(folders) + 1):
        whole = joined(folders, stem, length)
        if name in map(short_enough, (whole, f"{whole}{file.suffix}")):
            return (length > 1 and _whose([*folders[-length:], stem])) or patient_of(whole)
    return patient_of(name)


def _telling(file: Path) -> Path:
    """The nearest folder of a file whose name tells a patient; the file's own folder, if no name does."""
    folder = file.parent.resolve()
    parts = folders_of(folder / file.name)[::-1]
    return next(
        (place for part, place in zip(parts, [folder, *folder.parents], strict=False) if telling_words(part)), folder
    )


def above_dates(file: Path) -> Path | None:
    """The folder above a folder named by a date: ``anna`` of ``anna/2023-01-10/upper.stl``.

    None if the name of the file tells the patient, or the nearest folder that tells more than a jaw is not a date.
    """
    if telling_words(stem_of(file)) or not _DATE.fullmatch((place := _telling(file)).name):
        return None
    return place.parent


def _whose(parts: Sequence[str]) -> str:
    """The patient from the names of folders and of a file; empty if none of these names tells a patient."""
    told = any(map(JAW_WORD.search, parts))
    return "_".join(composed(without_jaw(part, told)) for part in parts if telling_words(part))


def may_be_of(file: Path) -> set[str]:
    """All names that the patient of a scan may have. Which of them it gets depends on the other scans.

    These are the patient in the name of the file, and the patient in this name with folders in front: once with the
    last folder, once with all from the nearest folder that tells a patient. If the name of the file tells no patient,
    the name of its folder is one, too.

    Example:
        >>> sorted(may_be_of(Path("ben/antagonist.stl")))
        ['antagonist', 'ben', 'ben_antagonist']
    """
    *folders, stem = (composed(printable(part)) for part in (*file.parent.resolve().parts, stem_of(file)))
    found = {patient_of(stem), patient_of(f"{folders[-1]}_{stem}")}
    telling = next((length for length, part in enumerate(folders[::-1], 1) if telling_words(part)), 1)
    found |= {_whose([*folders[-telling:], stem])} - {""}
    return found if telling_words(stem) else found | {folders[-1]}


def together_by(items: Iterable[Item], whose: Sequence[str]) -> dict[str, list[Item]]:
    """The items of each patient, in their order in ``items``; ``whose`` has the patient of each item.

    Example:
        >>> together_by(["007_L", "008_L", "007_U"], ["007", "008", "007"])
        {'007': ['007_L', '007_U'], '008': ['008_L']}
    """
    found: dict[str, list[Item]] = {}
    for item, patient in zip(items, whose, strict=True):
        found.setdefault(patient, []).append(item)
    return found


def learned_from(header: Mapping[str, Any]) -> set[str]:
    """The patients that a model has learned from, as the header of its file says.

    An older header has only the names of the scans; then the patients in these names.
    """
    return {composed(str(one)) for one in header.get("patients") or map(patient_of, map(str, header.get("train", ())))}
