"""What all pages rendered from result files share."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def facts_line(facts: dict[str, Any]) -> str:
    """Hardware, versions and date in one line."""
    machine, packages = facts["hardware"], facts["versions"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    listed = ", ".join(f"{name} {packages[name]}" for name in ("torch", "torch-geometric", "lightning"))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread(s) used, {gpus}; "
        f"{listed}, Python {packages['python']}; {facts['date'][:10]}; revision {facts['git']}."
    )


def facts_of(rows: list[Row]) -> str:
    """The same of several runs: the last one's, with the processors and revisions of all."""
    last = max((row["facts"] for row in rows), key=lambda facts: facts["date"])
    machines = sorted({row["facts"]["hardware"]["processor"] for row in rows})
    revisions = sorted({row["facts"]["git"] for row in rows})
    machine = {**last["hardware"], "processor": " or ".join(machines)}
    return facts_line({**last, "hardware": machine, "git": ", ".join(revisions)})
