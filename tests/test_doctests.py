"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
from functools import cache
from inspect import ismodule
from pathlib import Path
from typing import Any

import pytest

import toothgraph
from toothgraph import datasets, graph, metrics, nn, transforms

PACKAGE = Path(toothgraph.__file__).parent
ROOMS = (nn, graph, transforms, datasets, metrics)  # for the programs of others
# What most programs need, beside the packages.
NAMES = [name for name in toothgraph.__all__ if not name.startswith("_") and not ismodule(getattr(toothgraph, name))]
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if "    >>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", NAMES)
def test_what_toothgraph_gives_has_an_example_and_types(name: str) -> None:
    thing = getattr(toothgraph, name)
    assert "\nExample:\n    >>> " in inspect.getdoc(thing), f"toothgraph.{name} has no example"
    call = thing.__init__ if inspect.isclass(thing) else thing
    if not inspect.isclass(thing) or not issubclass(thing, Exception):
        own = [each for each in inspect.signature(call).parameters.values() if each.name != "self"]
        assert all(each.annotation is not inspect.Parameter.empty for each in own), f"toothgraph.{name} has no types"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = importlib.import_module(name)
    monkeypatch.setattr(toothgraph, "synthetic_arch", _cached_arch)  # most of the time, and often the same arch
    monkeypatch.chdir(tmp_path_factory.mktemp("example"))
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not found.failed, "see above"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_what_a_room_gives_has_an_example(room: Any) -> None:
    given = [getattr(room, name) for name in room.__all__]
    used = [each for each in given if inspect.isfunction(each) or is_step(each)]
    assert len(used) >= 4
    for each in used:
        assert "Example" in (each.__doc__ or ""), f"{room.__name__}.{each.__name__} has no example"
        assert "Raises" in (each.__doc__ or "") or not is_step(each), f"{each.__name__} does not say what it refuses"


def is_step(thing: object) -> bool:
    """Whether it is a layer, a transform or a data set."""
    called = isinstance(thing, type) and (hasattr(thing, "forward") or hasattr(thing, "process"))
    return called and not inspect.isabstract(thing)


_made = toothgraph.synthetic_arch


@cache
def _arch(seed: int, **options: Any) -> toothgraph.Mesh:
    return _made(seed, **options)


def _cached_arch(seed: int, *, without: Any = (), **options: Any) -> toothgraph.Mesh:
    return _arch(seed, without=tuple(without), **options)
