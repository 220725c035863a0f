"""Texts that know which of their numbers are teeth, so that teeth can be renumbered or written in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Teeth = tuple[int, ...]


@dataclass(frozen=True)
class ToothText:
    """A text with the numbers of teeth in it; ``str()`` gives the text to read.

    Attributes:
        parts: pieces of text and lists of FDI numbers, in order. The text to read has commas between the numbers of a
            list.

    Example:
        >>> said = tooth_text("review ", (36, 37), ": 2 mm apart")
        >>> str(said), said.teeth, said.flat
        ('review 36, 37: 2 mm apart', (36, 37), ['review ', 36, ', ', 37, ': 2 mm apart'])
    """

    parts: tuple[str | Teeth, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.flat))

    @property
    def teeth(self) -> Teeth:
        """The FDI numbers in the text, in order."""
        return tuple(part for part in self.flat if isinstance(part, int))

    @property
    def flat(self) -> list[str | int]:
        """The pieces of text and the FDI numbers, with the commas, for pages that write the numbers in another way."""
        found: list[str | int] = []
        for part in self.parts:
            if isinstance(part, str):
                found.append(part)
                continue
            for place, fdi in enumerate(part):
                found += [", ", fdi] if place else [fdi]
        return found

    def with_teeth(self, now: Callable[[int], int | None]) -> ToothText:
        """The text with other teeth: ``now`` gives the new number of a tooth, or None to leave the tooth out."""
        return ToothText(tuple(
            part if isinstance(part, str) else tuple(own for fdi in part if (own := now(fdi)) is not None)
            for part in self.parts
        ))  # fmt: skip


def tooth_text(*parts: str | Iterable[int]) -> ToothText:
    """A text from its pieces: words, and lists of FDI numbers."""
    return ToothText(tuple(part if isinstance(part, str) else tuple(map(int, part)) for part in parts))


def from_flat(parts: Iterable[str | int]) -> ToothText:
    """A text from its :attr:`ToothText.flat`."""
    return ToothText(tuple(part if isinstance(part, str) else (part,) for part in parts))
