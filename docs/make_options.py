"""Render docs/config.md, the table of options, from the code: ``python docs/make_options.py``.

tests/test_docs.py fails when it is out of date.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from docstrings import in_a_line

HERE = Path(__file__).resolve().parent


def attributes(cls: type) -> dict[str, str]:
    """What a dataclass's docstring says of its fields, its bases included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for entry in re.split(r"\n(?=    \w)", section):
            names, _, text = entry.strip().partition(": ")
            text = in_a_line(text, quote='"').rstrip(".")
            found.update({name.strip(): text for name in names.split(",")} if text else {})
    return found


def toml(config: Any, prefix: str = "") -> list[str]:
    """A dataclass as TOML, one comment and one line per field; nested ones as tables behind."""
    own, tables = [], []
    said = attributes(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            name = f"{prefix}{field.name}"
            tables += ["", f"[{name}]  # {said[field.name]}", *toml(value, f"{name}.")]
        else:
            text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
            line = f"{field.name} = {text}" if value is not None else f"# {field.name} = 20"
            own.append(f"{line}  # {said[field.name]}")
    return own + tables


def flat(config: Any, prefix: str = "") -> dict[str, str]:
    """The values of a dataclass and of those in it, by their full names."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            found |= flat(value, f"{name}.")
        else:
            found[name] = json.dumps(list(value) if isinstance(value, tuple) else value)
    return found


def differences(presets: dict[str, Any]) -> list[str]:
    """What the preset `paper` sets otherwise, as a table."""
    default, paper = (flat(presets[name]) for name in ("default", "paper"))
    rows = [
        f"| `{name}` | {value} | {paper[name]} |".replace("null", "–")
        for name, value in default.items()
        if paper[name] != value
    ]
    return ["\nWith `--preset paper`:\n", "| key | `default` | `paper` |", "|---|---|---|", *rows]


def render_config() -> str:
    """The text of config.md."""
    from toothgraph.cli.training_options import RUN_KEYS
    from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS

    lines = [
        "# Every option in a TOML file\n",
        "`--config FILE` reads options from a TOML file; the command line replaces the file, and the file the",
        "preset. A file may hold any part of what follows. An unknown key, or a value of the wrong kind, is refused.",
        "A tessellation is a scan, decimated in one of several ways ([method](method.md#from-scan-to-graph)).",
        "Written by `docs/make_options.py`: these are the keys and the defaults of the preset `default`.",
    ]
    for command, presets in (("pretrain", PRETRAIN_PRESETS), ("finetune", FINETUNE_PRESETS)):
        taken = {parameter.name for parameter in getattr(import_module(f"toothgraph.cli.{command}"), command).params}
        keys = ", ".join(f"`{key}`" for key in RUN_KEYS if key in taken)
        lines.append(
            f"\n## {command}\n\nBesides, at the top level: {keys}, and `faces` (short for `net.graph.faces`).\n"
        )
        lines += ["```toml", *toml(presets["default"]), "```", *differences(presets)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "config.md").write_text(render_config(), encoding="utf-8")
    print(f"wrote {HERE / 'config.md'}")
