"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from functools import cache
from inspect import ismodule
from typing import Any

import pytest

import toothgraph
from toothgraph import datasets, transforms

ROOMS = (transforms, datasets)
# What most programs need, beside the packages.
NAMES = [name for name in toothgraph.__all__ if not name.startswith("_") and not ismodule(getattr(toothgraph, name))]
MODULES = sorted(
    {f"{room.__name__}.{info.name}" for room in ROOMS for info in pkgutil.iter_modules(room.__path__)}
    | {getattr(toothgraph, name).__module__ for name in NAMES}
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
def test_every_class_to_be_used_has_an_example(room: Any) -> None:
    classes = [value for value in map(room.__dict__.get, room.__all__) if isinstance(value, type)]
    steps = [
        each
        for each in classes
        if (hasattr(each, "forward") or hasattr(each, "process")) and not inspect.isabstract(each)
    ]
    assert len(steps) >= 4
    for each in steps:
        assert "Example" in (each.__doc__ or "") and "Raises" in (each.__doc__ or ""), each


_made = toothgraph.synthetic_arch


@cache
def _arch(seed: int, **options: Any) -> toothgraph.Mesh:
    return _made(seed, **options)


def _cached_arch(seed: int, *, without: Any = (), **options: Any) -> toothgraph.Mesh:
    return _arch(seed, without=tuple(without), **options)
