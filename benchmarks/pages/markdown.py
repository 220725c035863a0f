"""What all pages share: rendering of templates, and data for them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.pages.figures import number as number
from benchmarks.pages.figures import points as points
from benchmarks.pages.figures import table as table

WIDTH = 120
AS_IT_IS = ("|", "#", "```", "!", "<")  # tables, headings, code, pictures, folds
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: str, **data: Any) -> str:
    """A template filled with data, with its paragraphs wrapped."""
    text = TEMPLATES.get_template(f"{template}.md.jinja").render(**data)
    return "\n\n".join(block if block.startswith(AS_IT_IS) else wrapped(block) for block in blocks_of(text.strip()))


def blocks_of(text: str) -> list[str]:
    """The blocks of a text that empty lines separate. Code between fences is one block, with its empty lines."""
    blocks: list[str] = []
    for part in re.split(r"\n{2,}", text):  # where a template leaves a part out, there are more empty lines
        if blocks and blocks[-1].startswith("```") and blocks[-1].count("```") == 1:
            blocks[-1] += f"\n\n{part}"
        else:
            blocks.append(part)
    return blocks


def wrapped(paragraph: str) -> str:
    """A paragraph, or a list with its items, wrapped to lines of at most WIDTH characters."""
    items = re.split(r"\n(?=- )", paragraph)
    return "\n".join(
        textwrap.fill(" ".join(item.split()), WIDTH, subsequent_indent="  " if item.startswith("- ") else "",
                      break_long_words=False, break_on_hyphens=False)
        for item in items
    )  # fmt: skip


def facts_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of several runs in the form of one: those of the last run, with all machines, versions and revisions.

    A run outside a git checkout has no revision.
    """
    found = [row["facts"] for row in rows]
    last = max(found, key=lambda facts: facts["date"])
    hardware = joined([facts["hardware"] for facts in found], last["hardware"])
    gpus = sorted({", ".join(facts["hardware"]["gpus"]) or "no GPU" for facts in found})
    return {
        **last,
        "versions": joined([facts["versions"] for facts in found], last["versions"]),
        "hardware": {**hardware, "gpus": [" or ".join(gpus)]},
        "git": ", ".join(sorted({facts["git"] or "unknown" for facts in found})),
    }


def joined(found: list[dict[str, Any]], last: dict[str, Any]) -> dict[str, Any]:
    """Each entry of ``last``, with the other values that it has elsewhere: "1 or 2". A single value stays as it is."""
    values = {name: sorted({one[name] for one in found if name in one}) for name in last if name != "gpus"}
    return {name: own[0] if len(own) == 1 else " or ".join(map(str, own)) for name, own in values.items()}


TEMPLATES.filters.update(number=number, points=points, hundredths=lambda share: round(100 * share))
