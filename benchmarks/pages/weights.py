"""The sections of the pages in docs/results on trained weights and on the steps of prediction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from benchmarks.pages.markdown import number, points, rendered, table
from benchmarks.paths import IMAGES
from benchmarks.studies.default_weights import SEED
from benchmarks.studies.missing_teeth import KINDS, TWINS
from benchmarks.studies.readings import reasons
from toothgraph.anatomy.sizes import WHOLE_TOOTH
from toothgraph.rules import DEFAULT, Rules
from toothgraph.scan_names import patient_of

WORST = ("miou", "miou_matched", "accuracy", "boundary_iou")  # scores in the table of the worst scans
WHOLE, LEFT_OUT = "all steps", "numbers as the net gives them"  # prediction steps that a sentence is about
PICTURE = "default_weights-worst.png"
WRONG_NUMBERS = "missing_teeth-wrong.png"  # drawn by benchmarks.studies.wrong_numbers


def flat_scores(sets: dict[str, Any]) -> str:
    """A table with one line for each set of scans, and one for its scans with sound labels.

    The second line leaves out the scans with labels that count past a gap. It is there only if the set has such scans.
    """
    keys = ("accuracy", "dice", "miou", "miou_paper", "miou_matched", "boundary_iou", "numbers_right")
    lines = []
    for name, content in sets.items():
        every, sound = content["per_scan"], [row for row in content["per_scan"] if not row.get("counted")]
        parts = [(name, every, content["scores"])]
        if 0 < len(sound) < len(every):
            parts.append((f"{name}, sound labels", sound, content["sound"]))
        for title, rows, scores in parts:
            right = sum(row["jaw"] == row["predicted_jaw"] for row in rows)
            challenge = number(scores["challenge_code"]["score"])
            lines.append(
                [title, str(len(rows)), *(number(scores.get(key)) for key in keys), challenge, f"{right}/{len(rows)}"]
            )
    return table(["set", "scans", *(f"`{key}`" for key in keys), "challenge", "jaw right"], lines)


def default_weights(content: dict[str, Any]) -> str:
    """The section on the weights that come with the package."""
    stored = [
        row | {"set": name.split(",")[0]}
        for name, own in content["sets"].items()
        for row in own["per_scan"]
        if name.endswith("as stored")
    ]
    worst = sorted(stored, key=lambda row: row["miou"])[:8]
    lines = [[row["set"], row["scan_id"], *(number(row[key]) for key in WORST)] for row in worst]
    return rendered(
        "results/default_weights",
        facts=content["facts"],
        scores=flat_scores(content["sets"]),
        sha256=content["sha256"],
        megabytes=content["bytes"] / 1e6,
        seed=SEED,
        worst=table(["set", "scan", *(f"`{key}`" for key in WORST)], lines),
        picture=PICTURE if (IMAGES / PICTURE).exists() else None,
    )


def what_numbering_changes(steps: dict[str, Any], scored: dict[str, Any]) -> dict[str, Any]:
    """How the step that numbers teeth changes two scores of a set, and how many of its scans count past a gap."""
    on, off = steps[WHOLE]["scores"], steps[LEFT_OUT]["scores"]
    return {
        "scans": len(scored["per_scan"]),
        "counted": len(scored["per_scan"]) - scored["sound"]["scans"],
        **{key: on[key] - off[key] for key in ("miou", "miou_matched")},
    }


def prediction_steps(content: dict[str, Any], odd: dict[str, Any] | None = None) -> str:
    """The section on the steps of prediction.

    Args:
        content: content of prediction_steps.json.
        odd: results on odd-scans from default_weights.json; some labels of odd-scans count past a gap.
    """
    keys = ("miou", "miou_matched", "boundary_iou", "accuracy")
    lines = [
        [name, title, *(number(row["scores"][key]) for key in keys),
         number(row["scores"]["challenge_code"]["score"]), str(row["duplicates"])]
        for name, steps in content["sets"].items()
        for title, row in steps.items()
    ]  # fmt: skip
    head = ["set", "prediction", *(f"`{key}`" for key in keys), "challenge", "numbers twice"]
    return rendered(
        "results/prediction_steps",
        facts=content["facts"],
        numbering=what_numbering_changes(content["sets"]["odd-scans"], odd) if odd else None,
        least_area=f"{WHOLE_TOOTH:g}",
        table=table(head, lines),
    )


def missing_teeth(content: dict[str, Any]) -> str:
    """The section on numbers where teeth are missing."""

    def share(values: list[float]) -> str:
        return f"{values[0]:.3f} ({values[1]:.3f} to {values[2]:.3f})"

    def warned(row: dict[str, int], scans: int) -> str:
        return f"{row['doubts']} ({row['numbers_doubted']}) of {scans}"

    lines = [
        [kind, revision, str(row["scans"]), str(row["teeth"]), number(row["miou"]), number(row["miou_matched"]),
         share(row["numbers_right"]), share(row["right_or_said"]), number(row["numbers_fit"][0]),
         warned(row["wrong_with"], row["scans_wrong"]), warned(row["right_with"], row["scans"] - row["scans_wrong"])]
        for kind in KINDS
        for revision, own in content["by"].items()
        if (row := own["summary"].get(kind))
    ]  # fmt: skip
    head = ["kind of mouth", "revision", "scans", "teeth", "`miou`", "`miou_matched`", "`numbers_right`",
            "right or reported", "fit the picture", "wrong scans with a warning", "right scans with one"]  # fmt: skip
    ours = [row for row in next(iter(content["by"].values()))["rows"] if not row["teeth"]]
    off = {row["scan"]: [tuple(pair) for pair in row["unfit"]] for row in ours}
    wrong = [
        [row["scan"], row["kind"], *(said(pairs) or "–" for pairs in (row["wrong"], off[row["scan"]])),
         "yes" if row["doubts"] else "no", reasons().get(row["scan"], "–")]
        for row in ours
        if row["wrong"]
    ]  # fmt: skip
    return rendered(
        "results/missing_teeth",
        facts=content["facts"],
        table=table(head, lines),
        reliability=reliability_table(content),
        picture=WRONG_NUMBERS,
        twins=TWINS,
        wrong=table(
            ["scan", "kind of mouth", "label → given", "of these fit no reading", "warning", "the picture"], wrong
        ),
        teeth=sum(row["found"] for row in ours),
        off=sum(map(len, off.values())),
    )


def lone_teeth(content: dict[str, Any]) -> str:
    """The section on teeth without a neighbour and long gaps."""
    lines = [
        [taken_out(row["teeth"]), revision, str(row["mouths"]),
         f"{row['right']:.3f} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f})",
         str(row["right_in_all_turns"]), number(row["teeth_found"]), number(row["numbers_right"])]
        for rows in zip(*(own["summary"] for own in content["by"].values()), strict=True)
        for revision, row in zip(content["by"], rows, strict=True)
    ]  # fmt: skip
    head = ["teeth taken out", "revision", "mouths", "right", "in every pose", "teeth found", "`numbers_right`"]
    turns = {row["kind"] for own in content["by"].values() for row in own["rows"]}
    return rendered("results/lone_teeth", facts=content["facts"], table=table(head, lines), turns=len(turns))


def taken_out(teeth: Sequence[int]) -> str:
    """Teeth counted from the midline, those of one side negative, in words."""
    one = sorted(tooth for tooth in teeth if tooth > 0)
    sides = "of both sides" if len(one) < len(teeth) else "of one side"
    if not teeth:
        return "none"
    return f"{one[0]} to {one[-1]} {sides}" if len(one) > 2 else f"{' and '.join(map(str, one))} {sides}"


def reliability_table(content: dict[str, Any]) -> str:
    """A table of confidence and of how often numbers are right, for each revision."""
    lines = [
        [revision, f"{row['from']:g} and more", str(row["teeth"]), number(row["said"]), number(row["right"])]
        for revision, own in content["by"].items()
        for row in own["reliability"]
    ]
    return table(["revision", "confidence", "teeth", "mean confidence", "share of right numbers"], lines)


def said(pairs: Iterable[Iterable[int]]) -> str:
    """Pairs of labels and given numbers as text."""
    return ", ".join(f"{label} → {given}" for label, given in pairs)


def rules_sweep(content: dict[str, Any]) -> str:
    """The section on the constants of prediction, with the constant of the largest change first."""
    changes = ("miou_change", "miou_matched_change")
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for row in content["rows"]:
        by_rule.setdefault(row["rule"], []).append(row)
    largest = {rule: max(abs(row[key]) for row in rows for key in changes) for rule, rows in by_rule.items()}
    lines = [
        [f"`{rule}`", f"{row['default']:g}", f"{row['value']:g}", *(points(row[key]) for key in changes)]
        for rule in sorted(by_rule, key=lambda rule: -largest[rule])
        for row in by_rule[rule]
    ]
    return rendered(
        "results/rules_sweep",
        scans=len(content["scans"]),
        default=content["default"],
        without=rules_without({*by_rule}),
        facts=content["facts"],
        table=table(["rule", "default", "value", "`miou`", "`miou_matched`"], lines),
    )


def rules_without(rows: set[str]) -> list[str]:
    """The rules of prediction that have no row; a group of which none has a row, by its name."""
    found = []
    for group in fields(Rules):
        own = getattr(DEFAULT, group.name)
        names = [f"{group.name}.{one.name}" for one in fields(own)] if is_dataclass(own) else [group.name]
        missing = [name for name in names if name not in rows]
        found += [group.name] if missing == names else missing
    return [f"`{name}`" for name in found]


def synthetic_weights(content: dict[str, Any]) -> str:
    """The section on a net that has seen no real scan."""
    header = content["header"]
    return rendered(
        "results/synthetic_weights",
        steps=header["steps"],
        patients=len({patient_of(scan) for scan in header["train"]}),
        seed=header["seed"],
        trained=header["trained"],
        scores=flat_scores(content["sets"]),
        revision=content["facts"]["git"],
    )
