"""The page on models, shells and parts of arches, from benchmarks/results/field.json."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

from benchmarks.pages.markdown import rendered, table
from benchmarks.studies.field import HOLLOW, SCAN

HEAD = [
    *("what it is", "files as they came, or made of a scan", "surfaces", "jaw told", "every tooth right"),
    *("`miou`", "`miou_matched`", "with a warning", "seconds"),
]
READINGS = "review the numbers: "  # how the warning begins that gives another reading of the row of teeth


def field_section(content: dict[str, Any]) -> str:
    """The page, with a table line for each kind of files and of made surfaces."""
    rows = content["rows"]
    kinds = list(dict.fromkeys((row["kind"], row["made"]) for row in rows))
    kinds.sort(key=lambda kind: (kind[0] != SCAN, kind[1]))
    lines = [line_of([row for row in rows if (row["kind"], row["made"]) == kind]) for kind in kinds]
    return rendered(
        "results/field",
        facts=content["facts"],
        table=table(HEAD, lines),
        hollow=hollow_and_scan(rows),
        wrong=wrong_of(rows),
    )


def line_of(rows: list[dict[str, Any]]) -> list[str]:
    """The table line of one kind."""
    first, known = rows[0], [row for row in rows if "teeth" in row]
    told = [row for row in rows if row["jaw"] in ("upper", "lower")]
    right = sum(row["teeth"] == row["found"] for row in known)
    return [
        first["kind"],
        "made" if first["made"] else "files",
        str(len(rows)),
        f"{sum(row['jaw'] == row['found_jaw'] for row in told)} of {len(told)}",
        f"{right} of {len(known)}" if known else "no labels",
        *(f"{mean(row[name] for row in known):.3f}" if known else "–" for name in ("miou", "miou_matched")),
        f"{sum(bool(row['doubts']) for row in rows)} of {len(rows)}",
        f"{median(row['seconds'] for row in rows):.1f}",
    ]


def wrong_of(rows: list[dict[str, Any]]) -> str:
    """A list of the surfaces with missing or wrong numbers, each with its warning about the numbers."""
    lines = []
    for row in rows:
        missing, wrong = ({*row.get(one, [])} - {*row.get(other, [])} if "teeth" in row else set()
                          for one, other in (("teeth", "found"), ("found", "teeth")))  # fmt: skip
        if missing or wrong:
            what = [f"{name} {', '.join(map(str, sorted(teeth)))}" for name, teeth in
                    (("missing", missing), ("not there", wrong)) if teeth]  # fmt: skip
            warning = next((doubt for doubt in row["doubts"] if doubt.startswith(READINGS)), "no warning about numbers")
            lines.append(f"- {row['kind']}, `{row['name']}`: {'; '.join(what)}. It says: {warning}.")
    return "\n".join(lines)


def hollow_and_scan(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The mean IoU of incisors and of all other teeth on hollow models, and on the scans as they were.

    Empty if one of the two kinds is not there.
    """
    found = []
    for kind in (HOLLOW, SCAN):
        teeth = [(int(fdi) % 10, iou) for row in rows if row["kind"] == kind for fdi, iou in row["tooth_iou"].items()]
        if not teeth:
            return []
        incisors, others = ([iou for place, iou in teeth if (place <= 2) == front] for front in (True, False))
        found.append({"incisors": mean(incisors), "others": mean(others)})
    return found
