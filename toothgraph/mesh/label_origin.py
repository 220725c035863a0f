"""Where the labels of a scan come from: from a person, from a model, or from a model and then a person."""

from __future__ import annotations

from dataclasses import dataclass, field

GIVEN, FOUND, CORRECTED = ORIGINS = ("given", "found", "corrected")


@dataclass(frozen=True)
class LabelOrigin:
    """Where the labels of a scan come from.

    Attributes:
        kind: ``found`` if a model found the labels and nobody changed them, ``corrected`` if a person changed them
            afterwards, else ``given``.
        model: name of the model that found the labels; empty if it is not known, or for ``given``.
        changed: for ``corrected``, the numbers with other faces than the model gave them, and the numbers removed.
        guessed: the label system of the file, if it was guessed from the numbers alone; empty if it was given.
    """

    kind: str = GIVEN
    model: str = ""
    changed: frozenset[int] = field(default=frozenset(), compare=False, repr=False)
    guessed: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} by {self.model}" if self.kind == FOUND and self.model else self.kind
