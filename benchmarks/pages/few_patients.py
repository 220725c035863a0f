"""The page on few labelled patients and on none: its tables, its curve, and the figures in its sentences."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages.markdown import facts_of, number, points, rendered, table
from benchmarks.pages.statistics import DRAWS, Row, per_patient
from benchmarks.studies.few_patients import (
    ARMS,
    BOTH,
    FIRST,
    JAWS,
    PAPER_FACES,
    PAPER_STEPS,
    PATIENTS,
    PROTOCOLS,
    TRICKS,
)
from benchmarks.studies.new_scanner import NEW
from benchmarks.studies.readings import reasons
from toothgraph.scan_names import jaw_from_name, patient_of

TITLES = {"scratch": "from scratch", "pretrained": "pre-trained", "self-trained": "pre-trained and self-trained",
          "one-round": "self-trained, one round", "all-gingiva": "self-trained, one round, all gingiva",
          "mean-teacher": "pre-trained, then mean teacher",
          "scratch-slow": "from scratch, half the rate", "scratch-fast": "from scratch, twice the rate",
          "scratch-brief": "from scratch, half the steps", "scratch-moved": "from scratch, stronger augmentation",
          "scratch-averaged": "from scratch, averaged weights",
          "pretrained-moved": "pre-trained, stronger augmentation",
          "self-trained-moved": "pre-trained and self-trained, stronger augmentation"}  # fmt: skip
COLOURS = {"scratch": "#b3532a", "pretrained": "#1f6fa8", "self-trained": "#6b4c9a"}
ARM_TITLES = {"alone": "unlabelled scans alone", "anchored": "with the labels the weights were trained on"}
RECIPES = {
    "long": "Long recipe",
    "short": "Short recipe",
    "paper": "The net of He et al., at a size that fits a CPU",
}
SCORES = ("miou", "miou_matched", "numbers_right")
Cells = dict[tuple[str, int], list[Row]]  # runs by arm and number of labelled patients


def cells(rows: list[Row]) -> Cells:
    """The runs by arm and number of labelled patients."""
    found: Cells = defaultdict(list)
    for row in rows:
        found[row["arm"], row["patients"]].append(row)
    return found


def protocols(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each protocol with both jaws labelled. Rows of different protocols are not compared."""
    both = [row for row in rows if row["jaws"] == BOTH]
    return {name: own for name in PROTOCOLS if (own := [row for row in both if row["protocol"] == name])}


def run_of(row: Row) -> tuple[int, int]:
    """Draw and seed of a run. Two runs with the same draw and seed have the same labels."""
    return row["draw"], row["seed"]


def by_draw(rows: list[Row], score: str = "miou") -> dict[int, float]:
    """A score of each draw, as the mean over its seeds."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        found[row["draw"]].append(row["scores"][score])
    return {draw: float(np.mean(own)) for draw, own in sorted(found.items())}


def gain(rows: list[Row], base: list[Row], score: str = "miou") -> tuple[float, float, float] | None:
    """Mean difference between runs with the same labels and seed, and its 95 % interval.

    The interval is a bootstrap over the draws (the same draws in both arms; a draw is the mean of its seeds) and over
    the scored patients. None if no run has a partner.
    """
    theirs = {run_of(row): per_patient(row, score) for row in base}
    pairs: dict[int, list[list[float]]] = defaultdict(list)  # by draw: for each seed the differences of the patients
    for row in rows:
        if run_of(row) in theirs:
            ours, other = per_patient(row, score), theirs[run_of(row)]
            pairs[row["draw"]].append([ours[name] - other[name] for name in sorted(ours)])
    if not pairs:
        return None
    differences = np.array([np.mean(seeds, axis=0) for seeds in pairs.values()])
    rng = np.random.default_rng(0)
    draws = rng.integers(len(differences), size=(DRAWS, len(differences), 1))
    patients = rng.integers(differences.shape[1], size=(DRAWS, 1, differences.shape[1]))
    low, high = np.quantile(differences[draws, patients].mean(axis=(1, 2)), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def said_gain(rows: list[Row], base: list[Row]) -> str:
    """The gain in points as text.

    For a single draw, it is only the mean, because an interval would leave out how draws differ.
    """
    found = gain(rows, base)
    if found is None:
        return "–"
    mean, low, high = map(points, found)
    together = {draw for draw, _ in {*map(run_of, rows)} & {*map(run_of, base)}}
    return f"{mean} ({low} to {high})" if len(together) > 1 else f"{mean} (one draw)"


def gains_table(rows: list[Row]) -> str:
    """A table by number of patients: `miou` and worst draw of each arm, and its gain over the arm before."""
    found, lines = cells(rows), []
    for count in sorted({row["patients"] for row in rows}):
        own = [found.get((arm, count), []) for arm in ARMS]
        added = [said_gain(ours, base) for base, ours in itertools.pairwise(own)]
        lines.append([str(count), *map(mean_and_worst, own), *added, _draws_of(own)])
    head = ["labelled patients", *(TITLES[arm] for arm in ARMS), "pre-training adds", "self-training adds", "draws"]
    return table(head, lines)


def _draws_of(arms: list[list[Row]]) -> str:
    """How many draws each arm was run with."""
    return ", ".join(str(len(by_draw(rows))) for rows in arms)


def mean_and_worst(rows: list[Row], score: str = "miou") -> str:
    """Mean of a score over the draws, and the worst draw, as text."""
    values = [*by_draw(rows, score).values()]
    if not values:
        return "–"
    return number(float(np.mean(values))) + (f" (worst {number(min(values))})" if len(values) > 1 else "")


def runs_table(rows: list[Row]) -> str:
    """A table of all runs, with one line for each."""
    order = sorted(rows, key=lambda row: (row["patients"], row["jaws"], *run_of(row), [*TITLES].index(row["arm"])))
    lines = [
        [", ".join(row["labelled"][:5]) + (", …" if row["patients"] > 5 else "") + _of_jaw(row), TITLES[row["arm"]],
         str(row["seed"]), *(number(row["scores"][score]) for score in SCORES), f"{row['minutes']:.0f}",
         row["facts"]["git"]]
        for row in order
    ]  # fmt: skip
    head = ["labelled patients", "net", "seed", *(f"`{score}`" for score in SCORES), "minutes", "revision"]
    return table(head, lines)


def _of_jaw(row: Row) -> str:
    return "" if row["jaws"] == BOTH else f", {row['jaws']} jaw"


def few_patients(rows: list[Row]) -> str:
    """The section on few labelled patients."""
    studies = [
        {"name": name, "title": RECIPES[name], "gains": gains_table(own), "runs": runs_table(own),
         "curve": curve_name(name), "facts": facts_of(own), "parts": parts_of_self_training(own), "spread": spread(own),
         "tricks": tricks(own), "band": has_band(own),
         "validate": len(per_patient(own[0], "miou"))}
        for name, own in protocols(rows).items()
    ]  # fmt: skip
    unlike = {scan: why for scan, why in reasons().items() if patient_of(scan) in FIRST}
    return rendered("results/few_patients", studies=studies, one=one_patient(rows), draws=DRAWS, unlike=unlike,
                    faces=PAPER_FACES, steps=PAPER_STEPS, jaws=single_jaws(rows))  # fmt: skip


def single_jaws(rows: list[Row]) -> list[dict[str, Any]]:
    """The tables of each protocol that has runs with one labelled jaw."""
    found = []
    for name, both in protocols(rows).items():
        own = [row for row in rows if row["protocol"] == name and row["jaws"] != BOTH]
        if own:
            found.append({"title": RECIPES[name], "gains": jaws_table(own, both), "runs": runs_table(own),
                          "facts": facts_of(own)})  # fmt: skip
    return found


def jaws_table(rows: list[Row], both: list[Row]) -> str:
    """A table by labelled jaw and scored jaw: `miou` of each arm, and the gain of the last arm from the other jaw.

    This gain comes from also labelling the other jaw of the same patient.
    """
    lines = []
    for labelled, scored in itertools.product(sorted({row["jaws"] for row in rows}), sorted({*JAWS} - {BOTH})):
        single = [row for row in rows if row["jaws"] == labelled]
        found, more = (cells([on_jaw(row, scored) for row in each]) for each in (single, both))
        own = [found.get((arm, 1), []) for arm in ARMS]
        added = said_gain(more.get((ARMS[-1], 1), []), own[-1])
        lines.append([labelled, scored, *map(mean_and_worst, own), added, _draws_of(own)])
    return table(["jaw labelled", "jaw scored", *(TITLES[arm] for arm in ARMS), "the other jaw adds", "draws"], lines)


def on_jaw(row: Row, jaw: str) -> Row:
    """A run with only the scans of one jaw, and their mean `miou`."""
    scans = [scan for scan in row["per_scan"] if jaw_from_name(scan["scan_id"]) in JAWS[jaw]]
    return {**row, "per_scan": scans, "scores": {"miou": float(np.mean([scan["miou"] for scan in scans]))}}


def parts_of_self_training(rows: list[Row]) -> dict[str, dict[str, str]]:
    """What the parts of self-training gain with one labelled patient; parts that were not run are left out.

    ``gingiva``: the student learns no gingiva that may be a tooth. ``round``: the student teaches a second student.
    ``mean``: self-training is used in place of a mean teacher.
    """
    found, parts = cells(rows), {}
    for part, arm, without in (
        ("gingiva", "one-round", "all-gingiva"),
        ("round", "self-trained", "one-round"),
        ("mean", "self-trained", "mean-teacher"),
    ):
        ours, base = found.get((arm, 1), []), found.get((without, 1), [])
        if gain(ours, base) is not None:
            parts[part] = {"base": mean_and_worst(base), "gain": said_gain(ours, base)}
    return parts


def tricks(rows: list[Row]) -> dict[str, Any]:
    """What other recipes from scratch reach with one labelled patient, and which of them is the best.

    The best recipe is chosen by the draws that all recipes were run with, and judged by its other draws. Empty if no
    other recipe was run.
    """
    found = cells(rows)
    own = {arm: found[arm, 1] for arm in ("scratch", *TRICKS) if (arm, 1) in found}
    if not {*own} & {*TRICKS}:
        return {}
    plain, pretrained = own.get("scratch", []), found.get(("pretrained", 1), [])
    shared = set.intersection(*({*by_draw(each)} for each in own.values()))
    lines = [
        [TITLES[arm], mean_and_worst(_in(each, shared)), mean_and_worst(_in(each, shared, others=True)),
         "–" if arm == "scratch" else said_gain(each, plain), said_gain(pretrained, each), str(len(by_draw(each)))]
        for arm, each in own.items()
    ]  # fmt: skip
    chosen_by = [row["labelled"][0] for row in sorted(plain, key=run_of) if row["draw"] in shared and row["seed"] == 0]
    head = ["net", f"labelled: {' or '.join(chosen_by)}", "other draws", "against the first line",
            "pre-training adds", "draws"]  # fmt: skip
    best = max(own, key=lambda arm: np.mean([*by_draw(_in(own[arm], shared)).values()]))
    moved = found.get(("pretrained-moved", 1), [])
    return {"table": table(head, lines), "best": TITLES[best], "plain": best == "scratch",
            "moved": said_gain(moved, pretrained) if moved else "",
            "adds": said_gain(_in(pretrained, shared, others=True), _in(own[best], shared, others=True))}  # fmt: skip


def _in(rows: list[Row], draws: set[int], others: bool = False) -> list[Row]:
    """The rows of some draws, or, with ``others``, the rows of all other draws."""
    return [row for row in rows if (row["draw"] in draws) != others]


def spread(rows: list[Row]) -> list[dict[str, Any]]:
    """How much two runs with one labelled patient differ in `miou`, in the mean, for each arm with several seeds.

    ``seeds`` is for two seeds with the same labels, ``draws`` for two draws with the same seed.
    """
    found, spreads = cells(rows), []
    for arm in ARMS:
        values = {run_of(row): row["scores"]["miou"] for row in found.get((arm, 1), [])}
        seeded = {draw for draw, _ in values if sum(own == draw for own, _ in values) > 1}
        pairs = [pair for pair in itertools.combinations(sorted(values), 2) if {pair[0][0], pair[1][0]} <= seeded]
        seeds = [abs(values[a] - values[b]) for a, b in pairs if a[0] == b[0]]
        draws = [abs(values[a] - values[b]) for a, b in pairs if a[0] != b[0] and a[1] == b[1]]
        if seeds and draws:
            spreads.append({"title": TITLES[arm], "seeds": float(np.mean(seeds)), "draws": float(np.mean(draws)),
                            "patients": len(seeded)})  # fmt: skip
    return spreads


def one_patient(rows: list[Row]) -> dict[str, Any]:
    """The figures in the sentences on one labelled patient.

    They are the mean and the worst `miou` of each arm over the draws that all arms have, for the recipe with most such
    draws (of two recipes with as many, the longer one). Also the gain of stronger augmentation from scratch, by the
    short recipe.
    """
    by_protocol = {name: shared_draws(own) for name, own in protocols(rows).items() if name != "paper"}
    protocol = max(by_protocol, key=lambda name: len(by_protocol[name]))
    shared, found = by_protocol[protocol], cells(protocols(rows)[protocol])
    arms = []
    for arm in ARMS if shared else ():
        values = [value for draw, value in by_draw(found[arm, 1]).items() if draw in shared]
        arms.append({"title": TITLES[arm], "mean": float(np.mean(values)), "worst": min(values)})
    short = cells(protocols(rows).get("short", []))
    ours, base = (short.get((arm, 1), []) for arm in ("scratch-moved", "scratch"))
    return {"protocol": protocol, "draws": len(shared), "arms": arms,
            "moved": said_gain(ours, base) if ours else ""}  # fmt: skip


def shared_draws(rows: list[Row]) -> set[int]:
    """The draws with one labelled patient that every arm was run with."""
    found = cells(rows)
    return set.intersection(*({*by_draw(found.get((arm, 1), []))} for arm in ARMS))


def curve_name(protocol: str) -> str:
    """The stem of the files with the curve of a protocol."""
    return f"few_patients-{protocol}"


def has_band(rows: list[Row]) -> bool:
    """Whether any net learned from the labels of all training patients."""
    return max(row["patients"] for row in rows) not in PATIENTS


def draw_curve(rows: list[Row], files: list[Path]) -> None:
    """Draw `miou` over the number of labelled patients.

    Each draw is a point, and a thin line joins the points of one draw. Means are joined if the same draws were run.
    Nothing is joined across numbers of patients that were not run. Nets that learn from all patients are shown as a
    band.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "toothgraph"  # the same figures give the same file
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), layout="constrained", sharey=True)
    everyone = max(row["patients"] for row in rows)
    counts = sorted({*PATIENTS} & {row["patients"] for row in rows})
    for plot, (score, title) in zip(axes, {"miou": "mIoU", "miou_matched": "mIoU, numbers aside"}.items(), strict=True):
        for arm, shift in zip(ARMS, (0.96, 1.0, 1.04), strict=True):  # so that they do not hide each other
            by_count = values_of(rows, arm, score)
            for count, found in by_count.items():
                plot.plot([count * shift] * len(found), list(found.values()), "o", color=COLOURS[arm], markersize=3,
                          alpha=0.5)  # fmt: skip
                plot.plot(count * shift, np.mean([*found.values()]), "_", color=COLOURS[arm], markersize=16,
                          markeredgewidth=2.5, label=TITLES[arm] if count == min(by_count) else None)  # fmt: skip
            for x, y, width in joined(by_count):
                plot.plot([count * shift for count in x], y, color=COLOURS[arm], linewidth=width, alpha=0.3 * width)
        if has_band(rows):
            full = [row["scores"][score] for row in rows if row["patients"] == everyone]
            plot.axhspan(min(full), max(full), color="0.5", alpha=0.35, label=f"all {everyone} patients", linewidth=1)
        plot.set(title=title, xlabel="labelled patients", xscale="log", xlim=(0.8 * counts[0], 1.25 * counts[-1]))
        plot.set_xticks(counts, labels=list(map(str, counts)))
        plot.set_xticks([], minor=True)
        plot.grid(alpha=0.3)
    axes[0].set_ylabel("mean over other patients")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=4)
    for file in files:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


Values = dict[int, dict[int, float]]  # by number of patients, then by draw


def values_of(rows: list[Row], arm: str, score: str) -> Values:
    """The scores of an arm with few labelled patients, by number of patients and by draw."""
    return {
        count: by_draw(own, score) for (kind, count), own in sorted(cells(rows).items())
        if kind == arm and count in PATIENTS
    }  # fmt: skip


def joined(found: Values) -> list[tuple[tuple[int, int], tuple[float, float], float]]:
    """The lines to draw for an arm, each with its two numbers of patients, its two scores, and its width.

    There is one line for each draw that was run with two neighbouring numbers of :data:`PATIENTS`, and a thick line for
    the means if the same draws were run with both numbers.
    """
    lines = []
    for ends in itertools.pairwise(PATIENTS):
        fewer, more = (found.get(count, {}) for count in ends)
        lines += [(ends, (fewer[draw], more[draw]), 1.0) for draw in fewer if draw in more]
        if fewer and fewer.keys() == more.keys():
            means = (float(np.mean([*fewer.values()])), float(np.mean([*more.values()])))
            lines.append((ends, means, 2.5))
    return lines


def one_shot(content: dict[str, Any]) -> str:
    """The section on what an embedding knows across patients before it learns from any label."""
    names = {False: "untrained", True: "pre-trained"}
    values = {kind: [row for row in content["rows"] if row["pretrained"] is kind] for kind in names}
    patients = [row["patient"] for row in values[True]]
    lines = [
        [names[kind], *(number(row["miou"]) for row in own), number(float(np.mean([row["miou"] for row in own]))),
         number(float(np.mean([row["accuracy"] for row in own])))]
        for kind, own in values.items()
    ]  # fmt: skip
    head = ["embedding", *(f"labelled: {patient}" for patient in patients), "mean `miou`", "mean `accuracy`"]
    means = {names[kind]: float(np.mean([row["miou"] for row in own])) for kind, own in values.items()}
    return rendered("results/one_shot", table=table(head, lines), means=means, facts=content["facts"])


def new_scanner(rows: list[Row]) -> str:
    """The section on a new scanner learned without labels. Each of its scans is scored by a net that did not see it."""
    before, *others = rows
    runs: dict[tuple[str, float, int], list[Row]] = defaultdict(list)
    for row in others:
        runs[row["arm"], row["lr"], row["steps"]].append(row)
    sets = list(before["sets"])
    lines = [["the weights as they are", "–", *(_scores_on(before["sets"][name]) for name in sets)]]
    found = []
    for (arm, rate, steps), own in runs.items():
        together = {name: _of_both_halves([row["sets"][name] for row in own]) for name in sets}
        lines.append([f"{ARM_TITLES[arm]}, {steps} steps", f"{rate:g}", *(_scores_on(together[name]) for name in sets)])
        found.append({"arm": ARM_TITLES[arm], "rate": rate, "miou": together[NEW]["miou"], "steps": steps})
    head = ["net", "highest learning rate", *(f"{name}: `miou` (`miou_matched`)" for name in sets)]
    return rendered(
        "results/new_scanner", table=table(head, lines), before=before["sets"][NEW]["miou"], found=found,
        facts=facts_of(rows), scans=len(before["sets"][NEW]["per_scan"]), name=NEW,
    )  # fmt: skip


def _scores_on(scores: dict[str, Any]) -> str:
    return f"{number(scores['miou'])} ({number(scores['miou_matched'])})"


def _of_both_halves(halves: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean scores over the scans of both halves, each scored by the net that learned from the other half."""
    scans = [scan for half in halves for scan in half["per_scan"]]
    return {key: float(np.mean([scan[key] for scan in scans])) for key in ("miou", "miou_matched")}
