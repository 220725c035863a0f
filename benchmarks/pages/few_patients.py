"""The page on few labelled patients, and none: its tables, its curve, and the figures of its sentences."""

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
    Cell,
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
OLDER_PREDICTION = (
    "0457f26", "1e46938", "20f449b", "3dba0bb", "499f8eb", "4d574b6", "4d9d6bc", "7736969", "b2837a5", "bb67e53",
    "bc5d5b0", "d587b0c", "d708b9c", "dbcd371", "ec58f1d", "f7e454f",
)  # fmt: skip  # revisions that scored rows before the prediction of today
Cells = dict[tuple[str, int], list[Row]]  # the runs of an arm with so many patients


def cells(rows: list[Row]) -> Cells:
    """The runs of each arm and number of labelled patients."""
    found: Cells = defaultdict(list)
    for row in rows:
        found[row["arm"], row["patients"]].append(row)
    return found


def protocols(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each protocol, both jaws labelled; those of two are not compared."""
    both = [row for row in rows if row["jaws"] == BOTH]
    return {name: own for name in PROTOCOLS if (own := [row for row in both if row["protocol"] == name])}


def scored_before(row: Row) -> bool:
    """Whether a row's scores are those of the earlier prediction: they are not compared with those of today's."""
    return row.get("scored") in OLDER_PREDICTION


def latest(rows: list[Row]) -> list[Row]:
    """Each run once, as it was scored last: some have a row of the earlier prediction, too, for the objectives of
    pre-training, which that one scored."""
    return [*{tuple(row[key] for key in Cell._fields): row for row in rows}.values()]


def mark(rows: list[Row]) -> str:
    """The sign of a figure that the earlier prediction has a part in."""
    return " ¹" if any(map(scored_before, rows)) else ""


def run_of(row: Row) -> tuple[int, int]:
    """What two runs with the same labels share: draw and seed."""
    return row["draw"], row["seed"]


def partner_of(row: Row) -> tuple[int, int, bool]:
    """What two runs share that are compared: draw, seed, and the prediction that scored them."""
    return *run_of(row), scored_before(row)


def by_draw(rows: list[Row], score: str = "miou") -> dict[int, float]:
    """A score of each draw, the mean of its seeds."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        found[row["draw"]].append(row["scores"][score])
    return {draw: float(np.mean(own)) for draw, own in sorted(found.items())}


def gain(rows: list[Row], base: list[Row], score: str = "miou") -> tuple[float, float, float] | None:
    """Mean difference of the runs with the same labels and seed, and its 95 % interval by a bootstrap over the draws
    (both arms the same; a draw is the mean of its seeds) and over the patients scored. None where no run has a
    partner that the same prediction scored."""
    theirs = {partner_of(row): per_patient(row, score) for row in base}
    pairs: dict[int, list[list[float]]] = defaultdict(list)  # by draw: a list for each seed, over the patients
    for row in rows:
        if partner_of(row) in theirs:
            ours, other = per_patient(row, score), theirs[partner_of(row)]
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
    """The same in points; of a single draw the mean alone, since an interval would leave out how draws differ."""
    found = gain(rows, base)
    if found is None:
        return "–"
    mean, low, high = map(points, found)
    together = {draw for draw, _, _ in {*map(partner_of, rows)} & {*map(partner_of, base)}}
    return f"{mean} ({low} to {high})" if len(together) > 1 else f"{mean} (one draw)"


def gains_table(rows: list[Row]) -> str:
    """One line per number of patients: `miou` of each arm, its worst draw, and what each arm adds to the one before."""
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
    """Mean over the draws, and the worst."""
    values = [*by_draw(rows, score).values()]
    if not values:
        return "–"
    return number(float(np.mean(values))) + (f" (worst {number(min(values))})" if len(values) > 1 else "") + mark(rows)


def runs_table(rows: list[Row]) -> str:
    """Every run."""
    order = sorted(rows, key=lambda row: (row["patients"], row["jaws"], *run_of(row), [*TITLES].index(row["arm"])))
    lines = [
        [", ".join(row["labelled"][:5]) + (", …" if row["patients"] > 5 else "") + _of_jaw(row), TITLES[row["arm"]],
         str(row["seed"]), *(number(row["scores"][score]) for score in SCORES), f"{row['minutes']:.0f}",
         row["facts"]["git"] + mark([row])]
        for row in order
    ]  # fmt: skip
    head = ["labelled patients", "net", "seed", *(f"`{score}`" for score in SCORES), "minutes", "revision"]
    return table(head, lines)


def _of_jaw(row: Row) -> str:
    return "" if row["jaws"] == BOTH else f", {row['jaws']} jaw"


def few_patients(rows: list[Row]) -> str:
    """The section."""
    studies = [
        {"name": name, "title": RECIPES[name], "gains": gains_table(own), "runs": runs_table(own),
         "curve": curve_name(name), "facts": facts_of(own), "parts": parts_of_self_training(own), "spread": spread(own),
         "tricks": tricks(own), "band": has_band(own), "older": bool(mark(own)),
         "validate": len(per_patient(own[0], "miou"))}
        for name, own in protocols(rows).items()
    ]  # fmt: skip
    unlike = {scan: why for scan, why in reasons().items() if patient_of(scan) in FIRST}
    return rendered("results/few_patients", studies=studies, one=one_patient(rows), draws=DRAWS, unlike=unlike,
                    faces=PAPER_FACES, steps=PAPER_STEPS, jaws=single_jaws(rows))  # fmt: skip


def single_jaws(rows: list[Row]) -> list[dict[str, Any]]:
    """For each protocol with runs of one labelled jaw, its tables."""
    found = []
    for name, both in protocols(rows).items():
        own = [row for row in rows if row["protocol"] == name and row["jaws"] != BOTH]
        if own:
            found.append({"title": RECIPES[name], "gains": jaws_table(own, both), "runs": runs_table(own),
                          "older": bool(mark(own)), "facts": facts_of(own)})  # fmt: skip
    return found


def jaws_table(rows: list[Row], both: list[Row]) -> str:
    """A line per jaw labelled and jaw scored: `miou` of each arm, and what the labels of the other jaw of the same
    patient add to the last arm."""
    lines = []
    for labelled, scored in itertools.product(sorted({row["jaws"] for row in rows}), sorted({*JAWS} - {BOTH})):
        single = [row for row in rows if row["jaws"] == labelled]
        found, more = (cells([on_jaw(row, scored) for row in each]) for each in (single, both))
        own = [found.get((arm, 1), []) for arm in ARMS]
        added = said_gain(more.get((ARMS[-1], 1), []), own[-1])
        lines.append([labelled, scored, *map(mean_and_worst, own), added, _draws_of(own)])
    return table(["jaw labelled", "jaw scored", *(TITLES[arm] for arm in ARMS), "the other jaw adds", "draws"], lines)


def on_jaw(row: Row, jaw: str) -> Row:
    """The same run with `miou` of the scans of one jaw alone."""
    scans = [scan for scan in row["per_scan"] if jaw_from_name(scan["scan_id"]) in JAWS[jaw]]
    return {**row, "per_scan": scans, "scores": {"miou": float(np.mean([scan["miou"] for scan in scans]))}}


def parts_of_self_training(rows: list[Row]) -> dict[str, dict[str, str]]:
    """What it is worth, with one labelled patient, that a student learns no gingiva that may be a tooth, and that it
    teaches another one, and what it is worth against a mean teacher; what was not run is left out."""
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
    """What other recipes from scratch reach with one labelled patient, and which is the best: chosen by the draws that
    all were run with, judged by its others. Empty where none was run."""
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
    """The rows of some draws, or those of all others."""
    return [row for row in rows if (row["draw"] in draws) != others]


def spread(rows: list[Row]) -> list[dict[str, Any]]:
    """By how much two runs with one labelled patient differ in `miou`, in the mean: of two seeds with the same labels,
    and of two draws with the same seed. Only arms that were run with several seeds."""
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
    """What the sentences on one labelled patient say: for each arm mean and worst over the draws that all have, by the
    recipe with most of these (of two with as many, the longer one); and what stronger augmentation adds from scratch,
    by the short recipe."""
    by_protocol = {name: shared_draws(own) for name, own in protocols(rows).items() if name != "paper"}
    protocol = max(by_protocol, key=lambda name: len(by_protocol[name]))
    shared, found = by_protocol[protocol], cells(protocols(rows)[protocol])
    arms = []
    for arm in ARMS if shared else ():
        values = [value for draw, value in by_draw(found[arm, 1]).items() if draw in shared]
        arms.append({"title": TITLES[arm], "mean": float(np.mean(values)), "worst": min(values)})
    short = cells(protocols(rows).get("short", []))
    ours, base = (short.get((arm, 1), []) for arm in ("scratch-moved", "scratch"))
    older = [TITLES[arm] for arm in ARMS if shared and mark(found[arm, 1])]
    return {"protocol": protocol, "draws": len(shared), "arms": arms, "older": older,
            "moved": said_gain(ours, base) if ours else ""}  # fmt: skip


def shared_draws(rows: list[Row]) -> set[int]:
    """The draws of one patient that every arm was run with."""
    found = cells(rows)
    return set.intersection(*({*by_draw(found.get((arm, 1), []))} for arm in ARMS))


def curve_name(protocol: str) -> str:
    """The stem of the files of a curve."""
    return f"few_patients-{protocol}"


def has_band(rows: list[Row]) -> bool:
    """Whether any net learned from all patients."""
    return max(row["patients"] for row in rows) not in PATIENTS


def draw_curve(rows: list[Row], files: list[Path]) -> None:
    """`miou` over the number of labelled patients. Each draw is a point, and a thin line joins those of one; means are
    joined where the same draws were run. Nothing is joined across numbers of patients that were not run. The nets
    that learn from all patients are a band."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "toothgraph"  # the same figures give the same file
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.0), layout="constrained", sharey=True)
    everyone = max(row["patients"] for row in rows)
    counts = sorted({*PATIENTS} & {row["patients"] for row in rows})
    for plot, (score, title) in zip(axes, {"miou": "mIoU", "miou_matched": "mIoU, numbers aside"}.items(), strict=True):
        for arm, shift in zip(ARMS, (0.96, 1.0, 1.04), strict=True):  # so that none hides another
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
    """The scores of an arm where few patients are labelled."""
    return {
        count: by_draw(own, score) for (kind, count), own in sorted(cells(rows).items())
        if kind == arm and count in PATIENTS
    }  # fmt: skip


def joined(found: Values) -> list[tuple[tuple[int, int], tuple[float, float], float]]:
    """The lines of an arm: numbers of patients, scores, width. One for each draw that was run with two neighbouring
    numbers of :data:`PATIENTS`, and a thick one for the means where all of its draws were run with both."""
    lines = []
    for ends in itertools.pairwise(PATIENTS):
        fewer, more = (found.get(count, {}) for count in ends)
        lines += [(ends, (fewer[draw], more[draw]), 1.0) for draw in fewer if draw in more]
        if fewer and fewer.keys() == more.keys():
            means = (float(np.mean([*fewer.values()])), float(np.mean([*more.values()])))
            lines.append((ends, means, 2.5))
    return lines


def one_shot(content: dict[str, Any]) -> str:
    """The section on what an embedding knows across patients before any label is learned from."""
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
    """The section on a scanner that is learned without labels: each scan of it scored by a net that did not see it."""
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
    """Mean over the scans that each half's net was scored on."""
    scans = [scan for half in halves for scan in half["per_scan"]]
    return {key: float(np.mean([scan[key] for scan in scans])) for key in ("miou", "miou_matched")}
