"""Write the tables of names into docs/api, from the docstrings: ``python docs/make_api.py``.

GitHub does not show what Sphinx makes of a module, so each has a table above it. tests/test_docs.py fails when one is
out of date.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from docstrings import in_a_line

PAGES = Path(__file__).resolve().parent / "api"
MODULE = re.compile(
    r"(?:(?:^\|[^\n]*\n)+\n)?(?P<fence>^```\{eval-rst\}\n\.\. automodule:: (?P<name>\S+)\n)", re.MULTILINE
)


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


def table(name: str) -> str:
    """The public names of a module, one a line."""
    module = import_module(name)
    lines = [f"| `{own}` | {first_sentence(getattr(module, own))} |" for own in public_names(module)]
    return "\n".join(["| name | what it is |", "| --- | --- |", *lines])


def with_tables(page: str) -> str:
    """A page with the table of each of its modules written anew."""
    return MODULE.sub(lambda found: f"{table(found['name'])}\n\n{found['fence']}", page)


def main() -> None:
    """Write all pages."""
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
