"""Label systems from a file: it says which number is which tooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toothgraph.choices import is_own
from toothgraph.errors import ConfigError, LabelError
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UNKNOWN_JAW, UPPER, is_permanent
from toothgraph.io.named_set import load_set


@dataclass(frozen=True)
class Numbering:
    """A label system from a file: its numbers of teeth and gingiva.

    Attributes:
        name: the source of the label system, for messages.
        teeth: two tables from its number to the FDI number, for the upper and the lower jaw; gingiva is 0.
        array: the name of the array of a PLY, VTP or VTK file that has the labels; empty for the usual names.
    """

    name: str
    teeth: tuple[dict[int, int], dict[int, int]]
    array: str = ""

    def to_fdi(self, numbers: np.ndarray, jaw: int) -> np.ndarray:
        """Numbers [N] as FDI numbers [N] int64; -1 for a number that is in neither jaw.

        Raises:
            LabelError: if the jaw is unknown and a number of the system means different teeth in the two jaws.
        """
        upper, lower = self.teeth
        if jaw == UNKNOWN_JAW and any(upper[own] != lower[own] for own in upper.keys() & lower.keys()):
            raise LabelError(
                f"the numbers of {self.name} need a known jaw, found none; put `upper` or `lower` into the scan's "
                "name, or say which jaw it is"
            )
        table = {**upper, **lower} if jaw == LOWER else {**lower, **upper}
        own, inverse = np.unique(numbers, return_inverse=True)
        fdi = np.array([table.get(number, UNKNOWN) for number in own.tolist()], dtype=np.int64)
        return fdi[inverse.reshape(-1)]

    def content(self) -> dict[str, Any]:
        """The content of the label system that labels depend on, for JSON; without its name."""
        return {"array": self.array, **{JAW_NAMES[jaw]: sorted(self.teeth[jaw].items()) for jaw in (UPPER, LOWER)}}


def content_of(label_system: str) -> Any:
    """The name of a label system, or its content if it is from a file, to be used in a digest."""
    return load_numbering(label_system).content() if is_own(label_system) else label_system


def load_numbering(spec: str) -> Numbering:
    """Read ``FILE:SET``, one label system of a JSON file.

    A set has ``upper`` and ``lower`` (FDI number to the number in the labels), and optionally ``background`` (the
    number of gingiva, 0 if not given) and ``array`` (the name of the array that has the labels).

    Raises:
        ConfigError: if the file or the set is missing, or does not have this form.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("numbers.json").write_text('{"mine": {"upper": {"11": 8}, "lower": {"41": 8}}}')
        >>> load_numbering("numbers.json:mine").to_fdi(np.array([0, 8, 9]), jaw=1).tolist()
        [0, 41, -1]
    """
    content = load_set(spec, "label system")
    try:
        gingiva = int(content.get("background", 0))
        upper, lower = (_jaw(content.get(JAW_NAMES[jaw], {}), gingiva) for jaw in (UPPER, LOWER))
        if len(upper) + len(lower) == 2:
            raise ValueError("neither `upper` nor `lower` has a tooth")
        return Numbering(spec, (upper, lower), str(content.get("array", "")))
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{spec}: expected per jaw, `upper` and `lower`, FDI numbers with the number that labels have: {error}"
        ) from error


def _jaw(teeth: dict[str, int], gingiva: int) -> dict[int, int]:
    """The table from the number in the labels to the FDI number, for one jaw."""
    found = {gingiva: 0}
    for name, own in teeth.items():
        fdi = int(name)
        if fdi <= 0 or not is_permanent(np.array(fdi)):
            raise ValueError(f"{name} is no FDI number of a permanent tooth")
        if int(own) in found:
            raise ValueError(f"{own} is both {found[int(own)]} and {fdi}")
        found[int(own)] = fdi
    return found
