"""Set the options of a dataclass from a TOML file and from layers of values."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from toothgraph.choices import did_you_mean
from toothgraph.errors import ConfigError, not_there

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Dataclass = TypeVar("Dataclass")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: if it cannot be read.
    """
    if not path.exists():
        raise ConfigError(not_there(path))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


def updated(config: Dataclass, values: dict[str, Any], source: str, also: Sequence[str] = ()) -> Dataclass:
    """A copy of a (nested) dataclass with some values replaced.

    Args:
        config: the dataclass.
        values: the new values by name.
        source: where the values come from, for errors.
        also: names that the source may have besides those of the dataclass, for errors.
    """
    types = get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in types:
            known = sorted({*types, *also})
            near = did_you_mean(name, known)
            raise ConfigError(f"{source}: unknown option {name!r}{near or '; options: ' + ', '.join(known)}")
        old = getattr(config, name)
        if dataclasses.is_dataclass(old) and isinstance(value, dict):
            changes[name] = updated(old, value, f"{source}: {name}")
        else:
            changes[name] = _checked(value, types[name], f"{source}: {name}")
    try:
        return replace(config, **changes)  # type: ignore[type-var]
    except ConfigError as error:  # the values do not fit each other
        raise ConfigError(f"{source}: {error}") from error


def _checked(value: Any, wanted: Any, where: str) -> Any:
    """``value`` as the wanted type; integers pass as floats, lists as tuples."""
    if get_origin(wanted) is tuple:
        if isinstance(value, list | tuple):
            return tuple(_checked(item, get_args(wanted)[0], where) for item in value)
    elif wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, bool):
        if wanted is bool:
            return value
    elif isinstance(value, get_args(wanted) or wanted):
        return value
    name = getattr(wanted, "__name__", str(wanted))
    raise ConfigError(f"{where}: expected {name}, got {value!r}")


def check_choices(values: dict[str, Any], choices: dict[str, tuple[str, ...]], where: str) -> None:
    """Refuse a value that is not one of its choices; ``where`` is the beginning of the message."""
    for name, possible in choices.items():
        if name in values and values[name] not in possible:
            near = did_you_mean(str(values[name]), possible)
            raise ConfigError(f"{where}expected {name} to be one of {', '.join(possible)}, got {values[name]!r}{near}")
