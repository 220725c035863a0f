"""Render docs/api.md and docs/config.md from the code: ``python docs/make_api.py``.

tests/test_docs.py fails when either file is out of date.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# What a chapter is called, and the modules whose public names it lists.
CHAPTERS = {
    "toothgraph": ("toothgraph",),
    "toothgraph.mesh: surfaces": (
        *("toothgraph.mesh.mesh", "toothgraph.mesh.topology", "toothgraph.mesh.decimate"),
        *("toothgraph.mesh.interpolate", "toothgraph.mesh.original", "toothgraph.mesh.label_origin"),
    ),
    "toothgraph.io: files and labels": (
        *("toothgraph.io.find", "toothgraph.io.read", "toothgraph.io.labels", "toothgraph.io.label_systems"),
        *("toothgraph.io.palette", "toothgraph.io.write", "toothgraph.io.label_record", "toothgraph.io.renumber"),
        *("toothgraph.io.predictions", "toothgraph.io.review"),
        *(f"toothgraph.io.formats.{name}" for name in ("registry", "ply", "stl", "tooth_folder")),
    ),
    "toothgraph.fdi, toothgraph.anatomy: teeth and arches": (
        *("toothgraph.fdi", "toothgraph.scan_names", "toothgraph.anatomy.frame", "toothgraph.anatomy.sizes"),
        *("toothgraph.anatomy.row", "toothgraph.anatomy.dentition", "toothgraph.anatomy.molars"),
        *("toothgraph.anatomy.mouth", "toothgraph.anatomy.measures", "toothgraph.anatomy.number_order"),
        "toothgraph.anatomy.colours",
    ),
    "toothgraph.synthetic: arches made by a program": ("toothgraph.synthetic", "toothgraph.synthetic.model_base"),
    "toothgraph.graph: faces to graphs": ("toothgraph.graph",),
    "toothgraph.transforms: graphs to graphs": ("toothgraph.transforms",),
    "toothgraph.nn: layers and losses for any graph": ("toothgraph.nn",),
    "toothgraph.model: nets and their files": ("toothgraph.model", "toothgraph.model.crowns", "toothgraph.model.file"),
    "toothgraph.data: scans to batches": (
        "toothgraph.data",
        *(f"toothgraph.data.prepared.{name}" for name in ("sources", "build", "folder", "file")),
    ),
    "toothgraph.training: runs": (
        *("toothgraph.training.config", "toothgraph.training.pretrain", "toothgraph.training.finetune"),
        *("toothgraph.training.self_training", "toothgraph.training.found_labels"),
    ),
    "toothgraph.inference: labels": (
        "toothgraph.inference",
        "toothgraph.inference.trust",
        "toothgraph.rules",
        "toothgraph.evaluation",
    ),
    "toothgraph.postprocess: rules": (
        *(f"toothgraph.postprocess.{name}" for name in ("borders", "pieces", "assign_numbers", "read_row")),
        "toothgraph.postprocess.two_arches",
    ),
    "toothgraph.metrics: scores": ("toothgraph.metrics",),
    "toothgraph.report: pictures, pages, tables": (
        *(f"toothgraph.report.{name}" for name in ("picture", "page", "differences", "folder", "index")),
        *(f"toothgraph.report.{name}" for name in ("tooth_table", "doubts")),
    ),
    "toothgraph.errors": ("toothgraph.errors",),
}
LONGEST = 150  # characters of a signature; a longer one is given by names alone


def public_names(module: Any) -> list[str]:
    """``__all__``, or the functions and classes the module defines itself."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if callable(getattr(module, name))]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


def summary(thing: Any) -> str:
    """The first sentence of a docstring, as Markdown."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([\w.]+\.)?(\w+)`", r"`\2`", text).replace("``", "`")
    end = re.search(r"[.:](?= [A-Z])", text)
    return text[: end.start()] + "." if end else text.rstrip(".:") + "."


def signature(name: str, thing: Any) -> str:
    """The call, with annotations and defaults as far as they are short."""
    if inspect.isclass(thing) and not getattr(thing.__init__, "__module__", "").startswith("toothgraph"):
        return name  # takes what its base class from another package takes
    found = inspect.signature(thing)
    full = [_parameter(p) for p in found.parameters.values()]
    answer = "" if inspect.isclass(thing) else f" -> {_annotation(found.return_annotation)}"
    star = next((n for n, p in enumerate(found.parameters.values()) if p.kind is p.KEYWORD_ONLY), None)
    kinds = {p.kind for p in found.parameters.values()}
    short = [str(p).split(":")[0].split("=")[0] for p in found.parameters.values()]
    for parts in (full, short):
        if star is not None and inspect.Parameter.VAR_POSITIONAL not in kinds:
            parts.insert(star, "*")
    call = f"{name}({', '.join(full)}){answer}"
    return call if len(call) <= LONGEST else f"{name}({', '.join(short)}){answer}"


def _annotation(value: Any) -> str:
    text = value if isinstance(value, str) else getattr(value, "__name__", str(value))
    return re.sub(r"\b(np|nx)\.(?!random)", "", text)


def _parameter(p: inspect.Parameter) -> str:
    text = str(p.replace(annotation=p.empty, default=p.empty))
    if p.annotation is not p.empty:
        text += f": {_annotation(p.annotation)}"
    if p.default is not p.empty:
        plain = p.default is None or isinstance(p.default, bool | int | float | str | tuple)
        text += f" = {p.default!r}" if plain else " = …"
    return text


def render_api() -> str:
    """The text of api.md."""
    lines = [
        "# Public names\n",
        "One line each; the docstrings say more (`help(toothgraph.face_graph)`). Written by `docs/make_api.py`.",
        "Every name below the first chapter is imported from the module named above it.",
    ]
    for title, modules in CHAPTERS.items():
        lines.append(f"\n## {title}")
        for module_name in modules:
            module = import_module(module_name)
            lines.append(f"\n`{module_name}`\n")
            for name in public_names(module):
                thing = getattr(module, name)
                lines.append(f"- `{signature(name, thing)}`: {summary(thing)}")
    return "\n".join(lines) + "\n"


def attributes(cls: type) -> dict[str, str]:
    """What a dataclass's docstring says of its fields, its bases included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        for entry in re.split(r"\n(?=    \w)", section):
            names, _, text = entry.strip().partition(": ")
            text = re.sub(r":\w+:`~?([\w.]+)`", r"\1", " ".join(text.split())).replace("``", '"').rstrip(".")
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
    from toothgraph.cli.options import RUN_KEYS
    from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS

    lines = [
        "# Every option in a TOML file\n",
        "`--config FILE` reads options from a TOML file; the command line goes before the file, the file before the",
        "preset. A file may hold any part of what follows. An unknown key, or a value of the wrong kind, is refused.",
        "Written by `docs/make_api.py`: these are the keys and the defaults of the preset `default`.",
    ]
    for command, presets in (("pretrain", PRETRAIN_PRESETS), ("finetune", FINETUNE_PRESETS)):
        taken = {parameter.name for parameter in getattr(import_module(f"toothgraph.cli.{command}"), command).params}
        keys = ", ".join(f"`{key}`" for key in RUN_KEYS if key in taken)
        lines.append(
            f"\n## {command}\n\nBesides, at the top level: {keys}, and `faces` (short for `net.graph.faces`).\n"
        )
        lines += ["```toml", *toml(presets["default"]), "```", *differences(presets)]
    return "\n".join(lines) + "\n"


PAGES = {"api.md": render_api, "config.md": render_config}

if __name__ == "__main__":
    for page, render in PAGES.items():
        (HERE / page).write_text(render(), encoding="utf-8")
        print(f"wrote {HERE / page}")
