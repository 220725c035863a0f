"""Write what docs/api shows in a checkout, from the docstrings and signatures: ``python docs/make_api.py``.

GitHub does not show what Sphinx makes of a module. So each has a table of names above it, linked to their source, and
their signatures. tests/test_docs.py fails when one is out of date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

from docstrings import in_a_line

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "api"
MODULE = re.compile(
    r"(?P<table>(?:^\|[^\n]*\n)+\n)?(?:^```py\n.*?^```\n\n)?"
    r"(?P<fence>^```\{eval-rst\}\n\.\. automodule:: (?P<name>\S+)\n)",
    re.MULTILINE | re.DOTALL,
)
WIDTH = 100  # of a signature; GitHub shows about as much without a bar to scroll
LONGEST = 40  # of a default, such as a list of options


def public_names(module: ModuleType) -> list[str]:
    """``__all__``, or the functions and classes that the module defines itself."""
    return getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


def first_sentence(thing: object) -> str:
    """What a docstring begins with, as Markdown in a cell of a table; nothing for a constant, whose type has one."""
    if not callable(thing):
        return "constant"
    text = in_a_line((inspect.getdoc(thing) or "").split("\n\n")[0], quote="`")
    return re.split(r"(?<=[a-z)`\]])\. (?=[A-Z])", text)[0].rstrip(".:").replace("|", "\\|")


def linked(name: str, thing: object) -> str:
    """A name, linked to the file that has it."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return f"`{name}`"
    file = Path(inspect.getfile(inspect.unwrap(thing))).relative_to(ROOT)
    return f"[`{name}`](../../{file})"


def table(name: str) -> str:
    """The public names of a module, one a line."""
    module = import_module(name)
    lines = [f"| {linked(own, getattr(module, own))} | {first_sentence(getattr(module, own))} |"
             for own in public_names(module)]  # fmt: skip
    return "\n".join(["| name | what it is |", "| --- | --- |", *lines])


def signatures(name: str) -> str:
    """How the functions and classes of a module are called, and the methods of the classes, as code."""
    module = import_module(name)
    called = [line for own in public_names(module) for line in calls(own, getattr(module, own))]
    return "\n".join(["```py", *called, "```"]) if called else ""


def calls(name: str, thing: object) -> list[str]:
    """The signature of a function; of a class, and below it those of its own methods."""
    if inspect.isfunction(thing):
        return [signature(name, thing)]
    if not inspect.isclass(thing) or issubclass(thing, Exception):
        return []
    lines = [signature(name, thing)]
    for own, value in vars(thing).items():
        if own.startswith("_"):
            continue
        if isinstance(value, FunctionType | classmethod | staticmethod):
            lines.append(textwrap.indent(signature(f".{own}", getattr(thing, own)), "    "))
        elif made := getattr(value, "fget", None) or getattr(value, "func", None):  # a property, maybe a cached one
            lines.append(f"    .{own}: {kind_of(inspect.signature(made).return_annotation)}")
    return lines


def signature(name: str, thing: object) -> str:
    """A call with types and defaults, broken between parameters where it is too long."""
    found = inspect.signature(thing)  # type: ignore[arg-type]
    given = [parameter for parameter in found.parameters.values() if parameter.name != "self"]
    parts = [written(parameter) for parameter in given]
    by_name = [place for place, parameter in enumerate(given) if parameter.kind is parameter.KEYWORD_ONLY]
    if by_name and not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in given):
        parts.insert(by_name[0], "*")
    result = None if inspect.isclass(thing) else found.return_annotation
    end = "" if result in (None, "None", found.empty) else f" -> {kind_of(result)}"
    whole = f"{name}({', '.join(parts)}){end}"
    if len(whole) <= WIDTH:
        return whole
    kept = [part.replace(" ", "\0") for part in parts]  # a parameter stays on one line
    lines = textwrap.wrap(", ".join(kept), WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"{name}(", *(f"    {line}" for line in lines), f"){end}"]).replace("\0", " ")


def written(parameter: inspect.Parameter) -> str:
    """A parameter with its type and default."""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {kind_of(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = f'"{parameter.default}"' if isinstance(parameter.default, str) else repr(parameter.default)
    default = "..." if len(default) > LONGEST or "<" in default else default
    return f"{text} = {default}" if ":" in text else f"{text}={default}"


def kind_of(annotation: object) -> str:
    """A type as it stands in the code."""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def with_tables(page: str) -> str:
    """A page with table and signatures of each of its modules written anew."""

    def anew(found: re.Match[str]) -> str:
        return "\n\n".join(filter(None, [table(found["name"]), signatures(found["name"]), found["fence"]]))

    return MODULE.sub(anew, page)


def for_sphinx(page: str) -> str:
    """A page without signatures, which Sphinx writes itself, and with tables that link to what it writes."""

    def anew(found: re.Match[str]) -> str:
        inside = rf"{{py:obj}}`\1 <{found['name']}.\1>`"
        return re.sub(r"\[`(\w+)`\]\([^)]*\)", inside, found["table"] or "") + found["fence"]

    return MODULE.sub(anew, page)


def main() -> None:
    """Write all pages."""
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
