"""The steps in which a person changes labels: pure functions from the labels of a scan to other labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from toothgraph.errors import ConfigError, OperationError
from toothgraph.fdi import CHART, PRIMARY_TEETH, UNKNOWN, in_row_order
from toothgraph.io.review_log import STEPS
from toothgraph.review.border import inside_border
from toothgraph.review.clicks import label_from_clicks
from toothgraph.review.regions import grown, halves
from toothgraph.review.surface import Surface

TEETH = (*CHART, *PRIMARY_TEETH.tolist())
MOST_FACES = 5_000_000  # in one operation; a person does not mark more by hand


@dataclass(frozen=True)
class Operation:
    """One step of a review.

    Attributes:
        kind: one of :data:`KINDS`.
        tooth: FDI number of the tooth to change.
        to: the other FDI number; 0 is gingiva, -1 unknown.
        faces: the faces of the clicks, of the brush, or of the points of a border.
        numbers: FDI numbers of the clicks, for the kind ``clicks``.
    """

    kind: str
    tooth: int | None = None
    to: int | None = None
    faces: tuple[int, ...] = ()
    numbers: tuple[int, ...] = field(default=())

    def content(self) -> dict[str, Any]:
        """The operation as a log stores it, without empty fields."""
        return {key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(self).items() if value not in (None, ())}  # fmt: skip


def operation_from(content: Mapping[str, Any], faces: int) -> Operation:
    """The operation that a page or a log describes.

    Args:
        content: the fields of :class:`Operation`.
        faces: number of faces of the scan.

    Raises:
        OperationError: if the content is not a valid operation.
    """
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise OperationError(f"expected a step of {', '.join((*KINDS, *STEPS))}, got {str(kind)[:40]!r}")
    if strange := set(content) - set(Operation.__dataclass_fields__):
        raise OperationError(f"{kind}: expected {', '.join(Operation.__dataclass_fields__)}, got {min(strange)[:40]!r}")
    numbers = {name: content.get(name) for name in ("tooth", "to")}
    for name, value in numbers.items():
        if value is not None and (type(value) is not int or value not in (0, UNKNOWN, *TEETH)):
            raise OperationError(f"{kind}: expected {name} as an FDI number, 0 or -1, got {str(value)[:20]!r}")
    lists = {name: _whole(kind, name, content.get(name, ())) for name in ("faces", "numbers")}
    if any(not 0 <= face < faces for face in lists["faces"]):
        raise OperationError(f"{kind}: expected faces from 0 to {faces - 1}; is the page of another scan?")
    if any(number not in TEETH for number in lists["numbers"]):
        raise OperationError(f"{kind}: expected FDI numbers of teeth, got {lists['numbers'][:40]}")
    return Operation(kind, numbers["tooth"], numbers["to"], lists["faces"], lists["numbers"])


def _whole(kind: str, name: str, values: Any) -> tuple[int, ...]:
    if (
        not isinstance(values, list | tuple)
        or len(values) > MOST_FACES
        or any(type(each) is not int for each in values)
    ):
        raise OperationError(f"{kind}: expected {name} as a list of whole numbers")
    return tuple(values)


def apply(surface: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    """The labels after an operation.

    Args:
        surface: the surface of the scan, F faces.
        labels: [F] FDI numbers; not changed.
        done: the operation.

    Returns:
        [F] FDI numbers.

    Raises:
        OperationError: if the operation cannot be done; the text says why, and what to do.
    """
    after = _APPLY[done.kind](surface, labels.copy(), done)
    if np.array_equal(after, labels):
        raise OperationError(f"{done.kind}: this step changes nothing")
    return after


def _renumber(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    tooth, to = _there(labels, done.tooth), _number(done)
    if to > 0 and (labels == to).any():
        raise OperationError(to, " is there already: swap the two, or merge them if they are one tooth")
    labels[labels == tooth] = to
    return labels


def _swap(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    first, second = _there(labels, done.tooth), _there(labels, done.to)
    return _mapped(labels, {first: second, second: first})


def _merge(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    labels[labels == _there(labels, done.tooth)] = _there(labels, done.to)
    return labels


def _gingiva(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    labels[labels == _there(labels, done.tooth)] = 0
    return labels


def _shift(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    """Change by one the number of a tooth, and of the teeth behind it up to the first gap.

    They move to the back, away from the midline, if ``to`` is the number behind the tooth, else to the front.
    """
    tooth, to = _there(labels, done.tooth), _number(done)
    step = to - tooth
    if abs(step) != 1 or to not in TEETH:
        raise OperationError("shift: expected a number next to ", tooth, " in its quadrant, got ", to)
    run = [tooth]
    while run[-1] + 1 in TEETH and (labels == run[-1] + 1).any():
        run.append(run[-1] + 1)
    taken = run[-1] + 1 if step > 0 else to
    if taken not in TEETH or (step < 0 and (labels == taken).any()):
        raise OperationError("no room to shift ", *_listed(run), ": ", min(taken, run[-1]), " is there already")
    return _mapped(labels, {number: number + step for number in run})


def _paint(_: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    labels[list(done.faces)] = _number(done)
    return labels


def _split(surface: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    to = _number(done)
    first, second = _clicked(done, 2)
    tooth = int(labels[first])
    why = ""
    if first == second:
        why = "both clicks are at one place"
    elif max(tooth, labels[second]) <= 0:
        why = "neither is on a tooth"
    elif labels[second] != tooth:
        why = "these two have different numbers"
    if why:
        raise OperationError(f"split: expected a click on each half of one tooth; {why}")
    if to > 0 and to != tooth and (labels == to).any():
        raise OperationError(to, " is there already: choose another number for the second half")
    own = np.flatnonzero(labels == tooth)
    labels[own[halves(surface, own, first, second)]] = to
    return labels


def _new(surface: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    to = _number(done)
    (face,) = _clicked(done, 1)
    if labels[face] > 0:
        raise OperationError("this place is of ", int(labels[face]), ": split that tooth, or make it gingiva first")
    if to <= 0 or (labels == to).any():
        raise OperationError(to, " is there already: choose another number for the new tooth")
    labels[grown(surface, labels, face)] = to
    return labels


def _border(surface: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    if len(done.faces) < 3:
        raise OperationError(f"a border takes at least 3 points around the tooth, got {len(done.faces)}")
    to = _number(done)
    inside = inside_border(surface, done.faces)
    if not inside.any():
        raise OperationError("the border encloses nothing: set its points around the tooth, one after another")
    labels[labels == to] = 0
    labels[inside] = to
    return labels


def _clicks(surface: Surface, labels: np.ndarray, done: Operation) -> np.ndarray:
    del labels
    try:
        return label_from_clicks(surface, done.faces, done.numbers)
    except ConfigError as error:
        raise OperationError(f"clicks: {error}") from error


_APPLY: dict[str, Callable[[Surface, np.ndarray, Operation], np.ndarray]] = {
    "renumber": _renumber,
    "shift": _shift,
    "swap": _swap,
    "merge": _merge,
    "gingiva": _gingiva,
    "paint": _paint,
    "split": _split,
    "new": _new,
    "border": _border,
    "clicks": _clicks,
}
KINDS = tuple(_APPLY)


def _there(labels: np.ndarray, tooth: int | None) -> int:
    if tooth is None or tooth <= 0 or not (labels == tooth).any():
        number = "none" if tooth is None else tooth
        teeth = _listed(in_row_order(labels[labels > 0])) or ["none"]
        raise OperationError("no tooth has the number ", number, "; the teeth are ", *teeth)
    return tooth


def _listed(numbers: Iterable[int]) -> list[str | int]:
    """Numbers with spaces between them, as parts of a message."""
    return [part for number in numbers for part in (" ", int(number))][1:]


def _number(done: Operation) -> int:
    if done.to is None:
        raise OperationError(f"{done.kind}: expected a number `to`")
    return done.to


def _clicked(done: Operation, count: int) -> tuple[int, ...]:
    if len(done.faces) != count:
        raise OperationError(
            f"{done.kind}: expected {count} {'click' if count == 1 else 'clicks'}, got {len(done.faces)}"
        )
    return done.faces


def _mapped(labels: np.ndarray, numbers: Mapping[int, int]) -> np.ndarray:
    after = labels.copy()
    for before, now in numbers.items():
        after[labels == before] = now
    return after
