"""Figures as text, and tables of figures, for pages and for the output of scripts."""

from __future__ import annotations


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text, or a dash if there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def points(share: float) -> str:
    """A difference in hundredths as text, with its sign."""
    return f"{100 * share:+.1f}"
