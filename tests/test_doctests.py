"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

import pytest

import toothgraph
from toothgraph import datasets, transforms

ROOMS = (transforms, datasets)
MODULES = [f"{room.__name__}.{info.name}" for room in ROOMS for info in pkgutil.iter_modules(room.__path__)]


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
