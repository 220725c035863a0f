"""Values that users choose by name. Quick to import, for the command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
LABEL_SYSTEMS = ("auto", "fdi", "universal", "arch14")
MIN_FACES, MAX_FACES = 2_000, 300_000  # of a synthetic arch
NET_SUFFIXES = (".onnx", ".pt2")  # of a net exported as a file
FORMATS = ("ply", "txt", "json", "vtp", "vtk", "stl")  # for labelled scans


def is_own(label_system: str) -> bool:
    """Whether a label system is read from a file (``FILE:SET``), and not one of ``LABEL_SYSTEMS``."""
    return ":" in label_system


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of an error message that asks for the choice nearest to a word; empty if no choice is near."""
    own = {choice.lower(): choice for choice in choices}
    near = get_close_matches(word.lower(), own, n=1)
    return f"; did you mean {own[near[0]]!r}?" if near else ""
