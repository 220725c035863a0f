"""Patients of several scans: by their names, by the other scan of a folder, by folders."""

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
    """Two scans of one folder that are both jaws of a patient.

    Attributes:
        patient: the patient in their names, or else the folder.
        jaws: 0 upper, 1 lower, by file.
        folder: the folder, where it is the patient; else None.
    """

    patient: str
    jaws: dict[Path, int]
    folder: Path | None = None


def cases_of(files: Sequence[Path]) -> dict[Path, Case]:
    """The case of each scan that belongs to one: of the two scans of a folder, one name says its jaw, and the other
    name does not say the same. So the jaw of the other is known, too.

    A name that has other words is no case, be they of another patient or say what else it shows: ``anna_upper.stl`` and
    ``ben.stl``, ``1_1_upper.stl`` and ``1_lower.stl``, ``upper.stl`` and ``bite.stl``.

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
    """Whether two names may be of one patient: those of both jaws by the same words, or one says only what it is; a
    name without a jaw by no words but those of the other, in their order."""
    one, other = map(telling_words, names)
    if UNKNOWN_JAW not in jaws:
        return one == other or any(not telling_words(name) and all_words(name) for name in names)
    quiet, telling = (one, iter(other)) if jaws[0] == UNKNOWN_JAW else (other, iter(one))
    return all(word in telling for word in quiet)


def told_jaw(file: Path, cases: Mapping[Path, Case]) -> int | None:
    """The jaw of a scan whose name does not say it, if that of the other scan of its case does: 0 or 1; else None."""
    return cases[file].jaws[file] if file in cases and jaw_from_name(file) == UNKNOWN_JAW else None


def patients_of(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """The patient of each scan, by the name of its output. Where that does not tell it, by the case; and where such
    scans lie in several folders, by the nearest folder that tells: two people are not one patient."""
    cases, patients = cases_of(files), dict(zip(files, map(_by_name, files, names), strict=True))
    by_name, places = dict(patients), {}
    for file in files:
        case = cases.get(file)
        own = {by_name[other] for other in case.jaws} if case else {by_name[file]}
        if len(own) == 1 and tells(*own):  # by both names
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
    """The patient by the name of a scan. In one with several folders in front, what only says a jaw, or what a file is,
    says nothing of whose it is: ``anna_upper_scan`` of ``anna/upper/scan.stl`` is of ``anna``."""
    folders, stem = folders_of(file), printable(stem_of(file))
    for length in range(len(folders) + 1):
        whole = joined(folders, stem, length)
        if name in map(short_enough, (whole, f"{whole}{file.suffix}")):
            return (length > 1 and _whose([*folders[-length:], stem])) or patient_of(whole)
    return patient_of(name)


def _telling(file: Path) -> Path:
    """The nearest folder of a file whose name tells whose scans are in it; its own, if none does."""
    folder = file.parent.resolve()
    parts = folders_of(folder / file.name)[::-1]
    return next(
        (place for part, place in zip(parts, [folder, *folder.parents], strict=False) if telling_words(part)), folder
    )


def above_dates(file: Path) -> Path | None:
    """The folder above one that is named by a date and alone tells whose a scan is: ``anna`` of
    ``anna/2023-01-10/upper.stl``; else None."""
    if telling_words(stem_of(file)) or not _DATE.fullmatch((place := _telling(file)).name):
        return None
    return place.parent


def _whose(parts: Sequence[str]) -> str:
    """The patient by the names of folders and of a file; empty if none of them tells."""
    told = any(map(JAW_WORD.search, parts))
    return "_".join(composed(without_jaw(part, told)) for part in parts if telling_words(part))


def may_be_of(file: Path) -> set[str]:
    """The names that the patient of a scan may have: that of its file alone; that of its file with its folder, or with
    the first one that says more than a jaw, which names have in front where stems are not unique; and that of its
    folder, where its file has none.

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
    """The items of each patient, in the order in which they come; ``whose`` is the patient of each item.

    Example:
        >>> together_by(["007_L", "008_L", "007_U"], ["007", "008", "007"])
        {'007': ['007_L', '007_U'], '008': ['008_L']}
    """
    found: dict[str, list[Item]] = {}
    for item, patient in zip(items, whose, strict=True):
        found.setdefault(patient, []).append(item)
    return found


def learned_from(header: Mapping[str, Any]) -> set[str]:
    """The patients that a model has learned from, by the header of its file; of an older one, by the names of scans."""
    return {composed(str(one)) for one in header.get("patients") or map(patient_of, map(str, header.get("train", ())))}
