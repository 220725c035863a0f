"""Errors that a user can cause and fix. The command line prints them in one line and exits with 1.

Each message says what was expected, what was found, in which file, and what to do.
"""

import glob
import math
import traceback
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

_Item = TypeVar("_Item", bound=Hashable)
_PACKAGE = str(Path(__file__).parent)


class ToothgraphError(Exception):
    """Base of every error this package raises on purpose.

    Example:
        >>> import toothgraph as tg
        >>> try:
        ...     tg.read_mesh("nothing.stl")
        ... except tg.ToothgraphError as error:
        ...     print(error)
        nothing.stl: no such file or folder; check the path
    """


class ShapeError(ValueError):
    """A tensor, graph or mesh is not what a function expects: an error in the calling code, not in a scan or an option.

    So it is not a :class:`ToothgraphError`, which the commands treat as a scan that cannot be used.

    Example:
        >>> import toothgraph as tg, torch
        >>> try:
        ...     tg.FastEdgeConv(3, 8)(torch.rand(4, 2), torch.zeros(2, 0, dtype=torch.long))
        ... except tg.ShapeError as error:
        ...     print("2" in str(error) and "3" in str(error))
        True
    """


class MeshError(ToothgraphError):
    """A scan file cannot be read, or does not contain a usable surface."""


class LabelError(ToothgraphError):
    """Labels cannot be read, or do not match their scan."""


class ConfigError(ToothgraphError):
    """An option, a configuration file or a split file is wrong."""


class DataError(ToothgraphError):
    """A set of scans cannot be used for this purpose."""


class MemoryShortage(ToothgraphError):
    """A scan, or all data of a run together, does not fit into memory."""


class OperationError(ToothgraphError):
    """A step of a review cannot be done on the labels.

    Attributes:
        parts: the message in texts and FDI numbers of teeth, so that a page can show the numbers of another system.
    """

    def __init__(self, *parts: str | int) -> None:
        super().__init__("".join(map(str, parts)))
        self.parts = parts


class CheckpointError(ToothgraphError):
    """A model or checkpoint file is missing, damaged or of the wrong kind."""


def not_there(path: object) -> str:
    """The message for a path that does not exist; it names files with the same name and another suffix."""
    wanted = Path(str(path))
    named = sorted(wanted.parent.glob(f"{glob.escape(wanted.stem)}.*")) if wanted.stem else []
    there = f" (there is {some_of([file.name for file in named], 3)})" if named else ""
    return f"{path}: no such file or folder; check the path{there}"


def check_number(
    name: str, value: Any, *, least: float | None = None, above: float | None = None, most: float | None = None,
    whole: bool = False,
) -> None:  # fmt: skip
    """Refuse an option that is not a finite number in its range.

    Raises:
        ConfigError: if it is not; the text has ``name``, the range and the value.
    """
    fits = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    fits = fits and (not whole or isinstance(value, Integral))
    fits = fits and (least is None or value >= least) and (above is None or value > above)
    if fits and (most is None or value <= most):
        return
    bounds = [f"of at least {least:g}"] if least is not None else []
    bounds += [f"above {above:g}"] if above is not None else []
    bounds += [f"at most {most:g}"] if most is not None else []
    wanted = " and ".join(bounds) or "as a finite number"
    raise ConfigError(f"expected {name} {wanted}{', a whole number' if whole else ''}, got {value!r}")


def check_names(name: str, value: Any) -> None:
    """Refuse a single string or path where a list is expected; a string would be read letter by letter.

    Raises:
        ConfigError: for a string or a path.
    """
    if isinstance(value, str):
        raise ConfigError(f"expected {name} as a list of names, got the text {value!r}; a list of one is [{value!r}]")
    if isinstance(value, Path):
        raise ConfigError(f"expected {name} as a list of paths, got one; a list of one is [{str(value)!r}]")


def from_numpy_hint(name: str, found: Any) -> str:
    """The end of a message that says how to make a tensor of a NumPy array; empty for anything else."""
    import numpy as np  # imported here, because only a message needs it

    return f"; torch.from_numpy({name}) makes a tensor of it" if isinstance(found, np.ndarray) else ""


def kind_of(found: Any) -> str:
    """The class of an object as a message names it: ``an ndarray``, ``a list``, ``none``."""
    return "none" if found is None else with_article(type(found).__name__)


def with_article(name: str) -> str:
    """The name of a class with its article: ``an EdgeConv``, ``a Tensor``."""
    return f"{'an' if name[0] in 'aeioAEIO' or name == 'ndarray' else 'a'} {name}"


def check_kind(name: str, value: Any, kind: type) -> None:
    """Refuse an argument that is not of a class.

    Raises:
        ShapeError: if it is not.
    """
    if not isinstance(value, kind):
        found = "none" if value is None else type(value).__name__
        raise ShapeError(f"expected {name}: a {kind.__name__}, got {found}")


def check_one_path(name: str, value: Any) -> None:
    """Refuse anything but one path or None, such as a list of paths.

    Raises:
        ConfigError: for anything else.
    """
    if not isinstance(value, str | PathLike | None):
        raise ConfigError(f"expected {name}: one folder, got {value!r}")


def repeated(items: Iterable[_Item]) -> list[_Item]:
    """The items that occur more than once, in the order in which they first occur."""
    return [item for item, count in Counter(items).items() if count > 1]


def some_of(names: Collection[object], most: int = 5) -> str:
    """The first ``most`` of several names and the number of the others, for a message."""
    shown, more = ", ".join(map(str, islice(names, most))), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def unexpected(error: BaseException) -> str:
    """The message for an unexpected error, in one line."""
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def named_fault(what: object) -> Iterator[None]:
    """Turn an unexpected error into a ToothgraphError of one line, so that only one scan fails.

    A ToothgraphError or OSError is raised unchanged.

    Args:
        what: begins the message, such as the scan at which the error occurred.

    Raises:
        ToothgraphError: with the file and line of this package that the user should report.
    """
    try:
        yield
    except (ToothgraphError, OSError):
        raise
    except Exception as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(_PACKAGE)]
        where = f"{Path(ours[-1].filename).relative_to(_PACKAGE).as_posix()}, line {ours[-1].lineno}"
        said = f"{unexpected(error)} (toothgraph/{where})"
        raise ToothgraphError(f"{what}: {said}; this is a fault of toothgraph, please report it") from error


EXTRAS = {
    "vtk": ("vtkmodules",),
    "scene": ("trimesh",),
    "dicom": ("pydicom",),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "scatter": ("torch_scatter",),
}  # the packages of each extra, an optional part of the installation


def has_extra(extra: str) -> bool:
    """Whether all packages of an extra are installed; they are not imported."""
    return all(find_spec(package) is not None for package in EXTRAS[extra])


def needs_extra(what: str, extra: str) -> str:
    """The message that says how to install the extra that ``what`` needs."""
    return f"{what} needs the extra {extra}: pip install 'toothgraph[{extra}]'"
