"""Jaw and patient from the words of one name."""

from __future__ import annotations

import re
from pathlib import Path

from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.scan_names.characters import composed, kind_of, split_words, stem_of

# A letter, or a letter or digit, of any script; also an accent that is a character of its own, as macOS writes it.
_LETTER, _SIGN = (rf"(?:[^{none}]|[\u0300-\u036f])" for none in (r"\W\d_", r"\W_"))
_BONE = r"(?:maxill?a(?:ry)?|maxilar|arcada)"  # `superior` or `inferior` may stand before or after it
_GAP = r"[\W_]{0,3}"
_SUPERIOR, _INFERIOR = r"sup(?:erior)?", r"inf(?:erior)?"
_LOWER = (
    rf"lower|mandib(?:le|ular)|mand(?:i\u0301?|\u00ed)bula|unterkiefer"
    rf"|{_BONE}{_GAP}{_INFERIOR}|{_INFERIOR}{_GAP}{_BONE}"
)
_UPPER = rf"upper|oberkiefer|{_BONE}{_GAP}{_SUPERIOR}|{_SUPERIOR}{_GAP}{_BONE}|(?!arcada){_BONE}"
# A separate word or a part of a camel-case name (`UpperJawScan`); `jaw` or `arch` may follow, and `scan` without a gap.
# In Chinese and Japanese, which do not separate words, any part of a name.
JAW_WORD = re.compile(
    rf"(?:(?<!{_LETTER})|(?<![A-ZÀ-ÖØ-Þ])(?=[A-Z]))(?:(?i:{_LOWER})|(?P<upper>(?i:{_UPPER})))"
    rf"(?:(?:[ _-]?(?i:jaw|arch))?(?:scan|SCAN)?(?![a-z]))?(?:(?!{_LETTER})|(?<=[a-z])(?=[A-ZÀ-ÖØ-Þ]))"
    r"|(?<!上)下[颌頜颚顎]|(?P<above>上[颌頜颚顎])"  # `上下颌` is both
)
# A separate capital letter, except between two digits. `UJ`, `LJ` and small letters count only at the end of a name.
_JAW_LETTER = re.compile(
    rf"(?<!{_LETTER})(?:(?P<upper>U)|L)(?!{_LETTER})(?!(?<=\d[UL])\d)"
    rf"|(?<!{_LETTER})(?:(?P<capitals>UJ)|LJ)$"
    rf"|(?:(?<=[0-9][_-])|(?<={_SIGN}{_SIGN}[_-]))(?:(?P<last>u)|l)$"
)
# Words that say what a file is, and do not tell the patient.
_KIND = {"scan", "scans", "jaw", "arch", "model", "mesh", "surface", "export", "final", "antagonist", "opposing",
         "opposite", "other", "prep", "preparation", "prepared", "stl", "ply", "obj"}  # fmt: skip


def jaw_from_name(path: str | Path) -> int:
    """The jaw in a file name: 0 upper, 1 lower, -1 unknown.

    The words ``upper``, ``lower``, ``maxilla``, ``maxillary``, ``mandible`` and ``mandibular`` count, in upper or lower
    case, also inside a name like ``UpperJawScan``. So do words of other languages: ``Oberkiefer``, ``Unterkiefer``,
    ``maxila``, ``maxilar``, ``mandíbula`` with or without its accent, and ``arcada`` with ``superior`` or ``inferior``
    (``sup``, ``inf``) beside it. ``maxilar inferior`` is the lower jaw. In Chinese and Japanese, ``上颌`` and ``下颌``
    count, also with ``頜``, ``颚`` or ``顎``.

    Without such a word, a single capital ``U`` or ``L`` counts, unless it stands between two digits; at the end of a
    name also ``UJ``, ``LJ``, ``_u`` and ``_l``. So ``007_L.ply`` is lower; ``follower.stl`` and ``IMG_1L2.stl`` are
    unknown. A name with both jaws is unknown, too.

    Example:
        >>> [jaw_from_name(name) for name in ("anna_upper.stl", "007_L.ply", "follower.stl")]
        [0, 1, -1]
    """
    name = Path(path).stem if isinstance(path, str) else stem_of(path)
    tokens = list(JAW_WORD.finditer(name)) or list(_JAW_LETTER.finditer(name))
    upper = {any(token.groupdict().values()) for token in tokens}
    if len(upper) != 1:
        return UNKNOWN_JAW
    return UPPER if upper.pop() else LOWER


def without_jaw(name: str, told: bool = False) -> str:
    """The name without all words and letters for a jaw; empty if the name has nothing else.

    Letters are removed even if a word names the jaw: ``007_U_upper`` and ``007_L_lower`` give the same result. In that
    case, a letter that may be the initial of a first name stays, as in ``L. Smith upper`` and ``L_Smith_lower``.

    Args:
        name: the name of a scan or a folder.
        told: whether a word elsewhere names the jaw; for example, the name of a file may tell it for its folder.
    """
    return _rest(name, told).strip("_- .")


def _rest(name: str, told: bool = False) -> str:
    """The name without the words and letters for a jaw, with the separators around them."""
    rest = JAW_WORD.sub("", name)
    told |= rest != name
    return _JAW_LETTER.sub(lambda found: found[0] if told and _is_initial(found) else "", rest)


def _is_initial(letter: re.Match[str]) -> bool:
    """Whether a letter may be the initial of a first name: ``Smith, L``, ``Smith L.``, ``J. L. Smith``, ``L_Smith``."""
    before, behind = letter.string[: letter.start()], letter.string[letter.end() :]
    stop = behind.startswith(".")
    if before.rstrip().endswith(",") or (before.endswith(" ") and stop):
        return True
    first = next((word for word in split_words(behind) if word not in _KIND), "")
    return (stop or not before.strip("_- .")) and len(first) > 1 and kind_of(first[0]) == "L"


def patient_of(scan_id: str) -> str:
    """The patient of a scan: its name without the jaw (``007_L`` → ``007``).

    See :func:`toothgraph.scan_names.jaw_from_name`. A name that is only a jaw (``upper``) belongs to the patient
    ``unnamed``, so two such scans are never on different sides of a split. Letters are composed (NFC) in any case.

    Example:
        >>> patient_of("007_L"), patient_of("upper")
        ('007', 'unnamed')
    """
    return composed(without_jaw(scan_id)) or "unnamed"


def untold(patient: str, scan_id: str) -> str:
    """The patient, if the name of the scan does not tell it; else an empty text."""
    return "" if patient == patient_of(scan_id) else patient


def tells(patient: str) -> bool:
    """Whether a patient's name tells who it is; ``unnamed`` does not, nor ``Scan``, which only says what a file is."""
    return patient != "unnamed" and bool(telling_words(patient))


def telling_words(stem: str) -> list[str]:
    """The words and numbers of a name that may tell the patient, in letters of any script."""
    return [word for word in all_words(stem) if word not in _KIND]


def all_words(stem: str) -> list[str]:
    """All words and numbers of a name except those for the jaw; also words that only say what a file is."""
    return split_words(_rest(stem))
