"""Where the labels of a scan come from: from a person, from a model, or from a model and then a person."""

from __future__ import annotations

from dataclasses import dataclass, field

GIVEN, FOUND, CORRECTED = ORIGINS = ("given", "found", "corrected")


@dataclass(frozen=True)
class LabelOrigin:
    """Where the labels of a scan come from.

    Attributes:
        kind: ``found`` by a model and not changed since, ``corrected`` since, or ``given`` otherwise.
        model: what found them; empty if that is not known, or for ``given``.
        changed: for ``corrected``, the numbers whose faces are others than the model said, and those that are gone.
        guessed: the label system that the file was taken to have, by its numbers alone; empty if it was told.
    """

    kind: str = GIVEN
    model: str = ""
    changed: frozenset[int] = field(default=frozenset(), compare=False, repr=False)
    guessed: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} by {self.model}" if self.kind == FOUND and self.model else self.kind
