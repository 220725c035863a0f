"""Jaw, patient and output name of a scan, from the name of its file."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, TypeVar

from toothgraph.errors import ConfigError, DataError, MeshError, some_of
from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER

UNPACKED = "toothgraph-unpacked-"  # how temporary folders begin in which archives are unpacked

Item = TypeVar("Item")

# A letter of any script, or an accent that is a sign of its own, as in names that macOS has written.
_LETTER, _SIGN = (rf"(?:[^{none}]|[\u0300-\u036f])" for none in (r"\W\d_", r"\W_"))
_BONE, _GAP = (
    r"(?:maxill?a(?:ry)?|maxilar|arcada)",
    r"[\W_]{0,3}",
)  # `superior` or `inferior` may stand before or behind
_SUPERIOR, _INFERIOR = r"sup(?:erior)?", r"inf(?:erior)?"
_LOWER = (
    rf"lower|mandib(?:le|ular)|mand(?:i\u0301?|\u00ed)bula|unterkiefer"
    rf"|{_BONE}{_GAP}{_INFERIOR}|{_INFERIOR}{_GAP}{_BONE}"
)
_UPPER = rf"upper|oberkiefer|{_BONE}{_GAP}{_SUPERIOR}|{_SUPERIOR}{_GAP}{_BONE}|(?!arcada){_BONE}"
# A separate word or a part of a camel-case name (`UpperJawScan`); `jaw`, `arch` and, in one word, `scan` may follow. In
# Chinese and Japanese, where nothing parts words, any part of a name.
_JAW_WORD = re.compile(
    rf"(?:(?<!{_LETTER})|(?<![A-ZÀ-ÖØ-Þ])(?=[A-Z]))(?:(?i:{_LOWER})|(?P<upper>(?i:{_UPPER})))"
    rf"(?:(?:[ _-]?(?i:jaw|arch))?(?:scan|SCAN)?(?![a-z]))?(?:(?!{_LETTER})|(?<=[a-z])(?=[A-ZÀ-ÖØ-Þ]))"
    r"|(?<!上)下[颌頜颚顎]|(?P<above>上[颌頜颚顎])"  # `上下颌` is both
)
# A separate letter, but for one between two digits; the two capitals and the small letters at the end alone.
_JAW_LETTER = re.compile(
    rf"(?<!{_LETTER})(?:(?P<upper>U)|L)(?!{_LETTER})(?!(?<=\d[UL])\d)"
    rf"|(?<!{_LETTER})(?:(?P<capitals>UJ)|LJ)$"
    rf"|(?:(?<=[0-9][_-])|(?<={_SIGN}{_SIGN}[_-]))(?:(?P<last>u)|l)$"
)


# What stands in a path for bytes that are not UTF-8; and control characters, which tables take for others.
_NO_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")
LONGEST = 243  # bytes of a name: with the suffix of a file that is written under it, 255, as file systems have it


def printable(text: str) -> str:
    """Text that can be printed, written and linked to: bytes of a file name that are not UTF-8, as names
    out of old archives have them, become ``%FC``, and control characters but for tab and new line ``%0D``."""
    return _NO_TEXT.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def check_file_name(path: Path) -> None:
    """Refuse a file whose name is not UTF-8, has control characters, or leaves no room for other suffixes: what is
    written of it, and pages that link to it, could not be named.

    Raises:
        MeshError: then.
    """
    if found := _NO_TEXT.search(path.name):
        what = "control characters" if found[0].isascii() else "other bytes"
        raise MeshError(f"{printable(str(path))}: expected a file name in UTF-8, found {what}; rename the file")
    if (size := len(os.fsencode(stem_of(path)))) > LONGEST:
        raise MeshError(f"{path}: expected a name of at most {LONGEST} bytes before its suffix, got {size}; rename it")


def short_enough(name: str) -> str:
    """The name; of one that no file may have, its beginning and a digest of the whole."""
    if len(name.encode()) <= LONGEST:
        return name
    begin = name.encode()[: LONGEST // 2].decode(errors="ignore")
    return f"{begin}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def composed(name: str) -> str:
    """A name with each letter and its accent as one character: names have either form, and both look the same."""
    return unicodedata.normalize("NFC", name)


def jaw_from_name(path: str | Path) -> int:
    """The jaw in a file name: 0 upper, 1 lower, -1 unknown.

    The words ``upper``, ``lower``, ``maxilla``, ``maxillary``, ``mandible`` and ``mandibular`` count, in any case, also
    inside a name like ``UpperJawScan``; and those of other languages: ``Oberkiefer``, ``Unterkiefer``, ``maxila``,
    ``maxilar``, ``mandíbula`` with its accent or without, and, with ``superior`` or ``inferior`` (``sup``, ``inf``)
    beside it, ``arcada``; ``maxilar inferior`` is the lower jaw. In Chinese and Japanese, ``上颌`` and ``下颌`` count,
    also with ``頜``, ``颚`` or ``顎``. Without such a word, a single capital ``U`` or ``L`` counts, unless it stands
    between two digits, or one of ``UJ``, ``LJ``, ``_u`` and ``_l`` at the end. So ``007_L.ply`` is lower;
    ``follower.stl`` and ``IMG_1L2.stl`` are unknown. A name with both jaws is unknown, too.

    Example:
        >>> [jaw_from_name(name) for name in ("anna_upper.stl", "007_L.ply", "follower.stl")]
        [0, 1, -1]
    """
    name = Path(path).stem if isinstance(path, str) else stem_of(path)
    tokens = list(_JAW_WORD.finditer(name)) or list(_JAW_LETTER.finditer(name))
    upper = {any(token.groupdict().values()) for token in tokens}
    if len(upper) != 1:
        return UNKNOWN_JAW
    return UPPER if upper.pop() else LOWER


def stem_of(path: Path) -> str:
    """The name of a scan's file without the suffix; of a folder with one file per tooth, its name, which may have full
    stops, without ``.teeth``."""
    return path.name.removesuffix(".teeth") if os.path.isdir(path) else path.stem  # which raises nothing


def without_jaw(name: str, told: bool = False) -> str:
    """The name without all words and letters for a jaw; empty if nothing else is in it.

    Letters are removed even if a word names the jaw: ``007_U_upper`` and ``007_L_lower`` give the same result. Then an
    initial is none of them: ``L. Smith upper`` and ``L_Smith_lower`` keep it.

    Args:
        name: of a scan or a folder.
        told: whether a word elsewhere names the jaw, as that of a file does for its folder.
    """
    return _rest(name, told).strip("_- .")


def _rest(name: str, told: bool = False) -> str:
    """The same, with what stands around."""
    rest = _JAW_WORD.sub("", name)
    told |= rest != name
    return _JAW_LETTER.sub(lambda found: found[0] if told and _is_initial(found) else "", rest)


def _is_initial(letter: re.Match[str]) -> bool:
    """Whether a letter may be that of a first name: ``Smith, L``, ``Smith L.``, ``J. L. Smith`` or ``L_Smith``."""
    before, behind = letter.string[: letter.start()], letter.string[letter.end() :]
    stop = behind.startswith(".")
    if before.rstrip().endswith(",") or (before.endswith(" ") and stop):
        return True
    first = next((word for word in _split(behind) if word not in _KIND), "")
    return (stop or not before.strip("_- .")) and len(first) > 1 and _kind_of(first[0]) == "L"


def patient_of(scan_id: str) -> str:
    """The patient of a scan: its name without the jaw (``007_L`` → ``007``), see
    :func:`toothgraph.scan_names.jaw_from_name`.

    A name that is only a jaw (``upper``) belongs to the patient ``unnamed``. So two such scans are never on
    different sides of a split. Letters are composed (NFC), whichever form the name has them in.

    Example:
        >>> patient_of("007_L"), patient_of("upper")
        ('007', 'unnamed')
    """
    return composed(without_jaw(scan_id)) or "unnamed"


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
    telling = next((length for length, part in enumerate(folders[::-1], 1) if _words(part)), 1)
    found |= {_whose([*folders[-telling:], stem])} - {""}
    return found if _words(stem) else found | {folders[-1]}


def untold(patient: str, scan_id: str) -> str:
    """The patient of a scan where its name does not tell it; else empty."""
    return "" if patient == patient_of(scan_id) else patient


# Words that say what a file is, and not whose.
_KIND = {"scan", "scans", "jaw", "arch", "model", "mesh", "surface", "export", "final", "antagonist", "opposing",
         "opposite", "other", "prep", "preparation", "prepared", "stl", "ply", "obj"}  # fmt: skip
_DATE = re.compile(r"(?:19|20)\d\d([-_. ]?)[01]\d\1[0-3]\d|[0-3]?\d([-_. ])[01]?\d\2(?:19|20)\d\d")
_NEW_WORD = re.compile("(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])")  # in camel case


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
        named = next(filter(_words, by_jaw), None)
        patient = without_jaw(named) if named else folder.resolve().name
        case = Case(composed(printable(patient)) or "unnamed", dict(zip(own, told, strict=True)),
                    None if named else folder.resolve())  # fmt: skip
        found.update(dict.fromkeys(own, case))
    return found


def _may_be_one(names: Sequence[str], jaws: Sequence[int]) -> bool:
    """Whether two names may be of one patient: those of both jaws by the same words, or one says only what it is; a
    name without a jaw by no words but those of the other, in their order."""
    one, other = map(_words, names)
    if UNKNOWN_JAW not in jaws:
        return one == other or any(not _words(name) and _all_words(name) for name in names)
    quiet, telling = (one, iter(other)) if jaws[0] == UNKNOWN_JAW else (other, iter(one))
    return all(word in telling for word in quiet)


def told_jaw(file: Path, cases: Mapping[Path, Case]) -> int | None:
    """The jaw of a scan whose name does not say it, if that of the other scan of its case does: 0 or 1; else None."""
    return cases[file].jaws[file] if file in cases and jaw_from_name(file) == UNKNOWN_JAW else None


def learned_from(header: Mapping[str, Any]) -> set[str]:
    """The patients that a model has learned from, by the header of its file; of an older one, by the names of scans."""
    return {composed(str(one)) for one in header.get("patients") or map(patient_of, map(str, header.get("train", ())))}


def tells(patient: str) -> bool:
    """Whether the patient that a name gives is one: ``unnamed`` and ``Scan`` only say what a file is."""
    return patient != "unnamed" and bool(_words(patient))


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


def _telling(file: Path) -> Path:
    """The nearest folder of a file whose name tells whose scans are in it; its own, if none does."""
    folder = file.parent.resolve()
    parts = _folders_of(folder / file.name)[::-1]
    return next((place for part, place in zip(parts, [folder, *folder.parents], strict=False) if _words(part)), folder)


def above_dates(file: Path) -> Path | None:
    """The folder above one that is named by a date and alone tells whose a scan is: ``anna`` of
    ``anna/2023-01-10/upper.stl``; else None."""
    if _words(stem_of(file)) or not _DATE.fullmatch((place := _telling(file)).name):
        return None
    return place.parent


def _by_name(file: Path, name: str) -> str:
    """The patient by the name of a scan. In one with several folders in front, what only says a jaw, or what a file is,
    says nothing of whose it is: ``anna_upper_scan`` of ``anna/upper/scan.stl`` is of ``anna``."""
    folders, stem = _folders_of(file), printable(stem_of(file))
    for length in range(len(folders) + 1):
        whole = _joined(folders, stem, length)
        if name in map(short_enough, (whole, f"{whole}{file.suffix}")):
            return (length > 1 and _whose([*folders[-length:], stem])) or patient_of(whole)
    return patient_of(name)


def _whose(parts: Sequence[str]) -> str:
    """The patient by the names of folders and of a file; empty if none of them tells."""
    told = any(map(_JAW_WORD.search, parts))
    return "_".join(composed(without_jaw(part, told)) for part in parts if _words(part))


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


def lasting(file: Path) -> str:
    """A name of a file that another process has, too: its path; of a file in an archive, that within the archive."""
    parts = file.parts
    begin = next((number for number, part in enumerate(parts, 1) if part.startswith(UNPACKED)), None)
    return str(file) if begin is None else "/".join(parts[begin:])


def _words(stem: str) -> list[str]:
    """The words and numbers of a name that tell whose scan it is, in letters of any script."""
    return [word for word in _all_words(stem) if word not in _KIND]


def _all_words(stem: str) -> list[str]:
    """Also those that say what a file is, but for the jaw."""
    return _split(_rest(stem))


def _split(name: str) -> list[str]:
    """The words and numbers of a name."""
    runs = ["".join(run) for kind, run in groupby(composed(name), _kind_of) if kind]
    return [word.lower() for run in runs for word in _NEW_WORD.split(run)]


def _kind_of(character: str) -> str:
    """``L`` for a letter or a sign on one, ``N`` for a digit, nothing for what stands between words."""
    kind = unicodedata.category(character)[0]
    return "L" if kind == "M" else kind if kind in "LN" else ""


def long_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem. If a stem is not unique, all scans of its patient get the names of their folders
    in front, as many as tell them apart, so that both jaws keep the same patient. No folder counts that has all files
    in it, but the last one of a file.

    Two files of one folder keep one name.

    Example:
        >>> long_names([Path("anna/lower/scan.stl"), Path("ben/lower/scan.stl"), Path("mia_lower.stl")])
        ['anna_lower_scan', 'ben_lower_scan', 'mia_lower']
    """
    return _apart(files, [""] * len(files))


def _apart(files: Sequence[Path], ends: Sequence[str]) -> list[str]:
    """The stem of each file, with folders in front until no name, with its end, is there twice. Those of several
    folders are one name, too, if only case, or the form of accents, differs: macOS and Windows make one file of them.
    """
    stems, folders, lengths = [printable(stem_of(file)) for file in files], _folders_below(files), [0] * len(files)
    for length in range(1, max(map(len, folders), default=0) + 1):
        names = list(map(_joined, folders, stems, lengths))
        same = Counter(zip(names, ends, strict=True))
        alike = [(composed(name).casefold(), end) for name, end in zip(names, ends, strict=True)]
        places = Counter(place for place, _ in {*zip(alike, map(tuple, folders), strict=True)})
        unclear = {
            patient_of(name)
            for name, end, place in zip(names, ends, alike, strict=True)
            if same[name, end] > 1 or places[place] > 1
        }
        lengths = [length if patient_of(name) in unclear else own for name, own in zip(names, lengths, strict=True)]
    return list(map(_joined, folders, stems, lengths))


def _joined(folders: Sequence[str], stem: str, length: int) -> str:
    """A stem with that many folders in front."""
    return "_".join([*folders[max(len(folders) - length, 0) :], stem])


def _folders_below(files: Sequence[Path]) -> list[list[str]]:
    """The folders of each file below the one that has all files in it; of a file in that one, its name."""
    folders = list(map(_folders_of, files))
    shared = sum(1 for _ in takewhile(lambda names: len(names) == 1, map(set, zip(*folders, strict=False))))
    return [own[shared:] or own[-1:] for own in folders]


def _folders_of(file: Path) -> list[str]:
    """The names of all folders of a file; of one in an archive, from the archive's own on, since another process
    unpacks it elsewhere."""
    folder = Path(lasting(Path(os.path.abspath(file)))).parent
    return [printable(part) for part in folder.parts if part != folder.anchor]


def may_be_named(file: Path) -> set[str]:
    """The names that outputs of a scan may have, whatever other scans there were.

    Example:
        >>> {"upper", "anna_upper", "anna_upper.stl"} <= may_be_named(Path("anna/upper.stl"))
        True
    """
    folders, stem = _folders_of(file), printable(stem_of(file))
    names = [_joined(folders, stem, length) for length in range(len(folders) + 1)]
    return {*names, *(f"{name}{file.suffix}" for name in names)}


def scan_names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, with the names of its folders in front if stems are not unique, see
    :func:`long_names`.

    Raises:
        DataError: if two files still share a name.
    """
    names = long_names(files)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        same = [str(path) for path, name in zip(files, names, strict=True) if name == twice[0]]
        raise DataError(f"several scans share the name {twice[0]}: {some_of(same, 3)}; rename them")
    return names


def output_names(files: list[Path]) -> list[str]:
    """A name for each output: the stem of its input.

    If files in several folders have the same name, the names of their folders are put in front, as many as tell them
    apart, for both jaws of a patient. If only the stems are the same, the suffix is added. A name that is too long for
    a file is cut.

    Raises:
        ConfigError: if two inputs still share a name.
    """
    names = _apart(files, [file.suffix for file in files])
    count = Counter(names)
    names = [name if count[name] == 1 else f"{name}{file.suffix}" for name, file in zip(names, files, strict=True)]
    names = list(map(short_enough, names))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        same = ", ".join(str(file) for file, name in zip(files, names, strict=True) if name == twice[0])
        raise ConfigError(f"several scans would be written as {twice[0]}: {same}; label them into separate folders")
    return names
