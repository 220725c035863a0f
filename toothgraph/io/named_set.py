"""Read one named set, ``FILE:SET``, of a JSON file that has several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toothgraph.choices import did_you_mean
from toothgraph.errors import ConfigError
from toothgraph.system.files import check_there


def load_set(spec: str, kind: str) -> dict[str, Any]:
    """Read one set of a JSON file.

    Args:
        spec: the file and the name of the set, ``FILE:SET``.
        kind: what a set is, such as a palette, for messages.

    Raises:
        ConfigError: if the file or the set is missing, or is no JSON object.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name:
        raise ConfigError(f"expected a {kind} as FILE:SET, got {spec!r}")
    check_there(Path(file), ConfigError)
    try:
        sets = json.loads(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{file}: the {kind} file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: expected a JSON file of {kind}s: {error}") from error
    if not isinstance(sets, dict) or name not in sets:
        available = ", ".join(sorted(sets)) if isinstance(sets, dict) else "none"
        near = did_you_mean(name, sets) if isinstance(sets, dict) else ""
        raise ConfigError(f"{file}: contains no {kind} {name!r}; available: {available}{near}")
    content = sets[name]
    if not isinstance(content, dict):
        raise ConfigError(f"{spec}: expected a {kind}, an object in braces, found {content!r}")
    return content
