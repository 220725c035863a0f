"""The label-efficiency study as tables and curves, from its rows; see label_efficiency.py and render.py."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from render_common import Row, table

from toothgraph.data.split import patient_of

TITLES = {"scratch": "from scratch", "pretrained": "pre-trained", "more": "pre-trained on more"}
COLOURS = {"scratch": "#b3532a", "pretrained": "#1f6fa8", "more": "#3d8c40"}
CURVES = {"miou": "mIoU", "miou_matched": "mIoU, numbers aside"}
SHARES_OF_STEPS = (0.25, 0.5, 0.75, 1.0)
DRAWS = 10_000  # of the bootstrap
OLDER_PREDICTION = ("7e5952f",)  # revisions of ablation rows before a39bb5d, which all others have


def studies(rows: list[Row]) -> dict[tuple[str, str, str, int, int], list[Row]]:
    """Rows that may be compared: same protocol, data set, recipe, steps and faces."""
    found: dict[tuple[str, str, str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["protocol"], row["dataset"], row["recipe"], row["steps"], row["faces"]].append(row)
    for key, own in found.items():
        if len({row["pretrain_steps"] for row in own if "pretrain_steps" in row}) > 1:
            raise ValueError(f"{key}: rows of different pre-trainings; give them a --protocol of their own")
    return dict(sorted(found.items()))


def rates_of(row: Row) -> tuple[float, float]:
    """The highest learning rate of a run, and that of its backbone as a share of it."""
    return row["lr"], row["backbone_rate"]


def cells(rows: list[Row]) -> dict[tuple[str, int], list[Row]]:
    """The rows of each initialisation and share of labels, one per seed, at the learning rates run with the most seeds;
    of several such rates, those with the best mean. Either side is tuned so, and share by share."""
    found: dict[tuple[str, int], list[Row]] = {}
    for (init, fraction, _), own in by_rates(rows).items():
        best = found.get((init, fraction), [])
        if not best or (len(own), mean_miou(own)) > (len(best), mean_miou(best)):
            found[init, fraction] = own
    return found


def has_pair(rows: list[Row]) -> bool:
    """Whether any share was run from scratch and pre-trained with one seed: without it a curve would mislead."""
    return bool(compared(rows))


def gains(rows: list[Row]) -> dict[int, float]:
    """What pre-training gains over scratch in `miou`, by the shares of labels that have a seed in common."""
    return {fraction: paired_interval(ours, base)[0] for fraction, (ours, base) in compared(rows).items()}


def compared(rows: list[Row]) -> dict[int, tuple[list[Row], list[Row]]]:
    """Pre-trained and from scratch, by the shares of labels that have a seed in common."""
    found = cells(rows)
    pairs = {share: (found.get(("pretrained", share), []), base) for (init, share), base in found.items()
             if init == "scratch"}  # fmt: skip
    return {share: pair for share, pair in sorted(pairs.items()) if common_seeds(*pair)}


def per_patient(row: Row, score: str) -> dict[str, float]:
    """Mean of a score over a patient's scans."""
    values: dict[str, list[float]] = defaultdict(list)
    for scan in row["per_scan"]:
        values[patient_of(scan["scan_id"])].append(scan[score])
    return {patient: float(np.mean(own)) for patient, own in sorted(values.items())}


def by_seed(rows: list[Row], base: list[Row], score: str) -> tuple[np.ndarray, np.ndarray]:
    """What each patient has on either side, [seeds, patients] each.

    Raises:
        ValueError: if the rows are not of the same patients.
    """
    found = [per_patient(row, score) for row in (*rows, *base)]
    if any(own.keys() != found[0].keys() for own in found):
        raise ValueError("rows of different patients cannot be compared")
    values = np.array([list(own.values()) for own in found])
    return values[: len(rows)], values[len(rows) :]


def common_seeds(rows: list[Row], base: list[Row]) -> set[int]:
    """The seeds that both have."""
    return {row["seed"] for row in rows} & {row["seed"] for row in base}


def paired_interval(rows: list[Row], base: list[Row], score: str = "miou") -> tuple[float, float, float]:
    """See :func:`mean_interval`, of the seeds both have."""
    return mean_interval(*of_common_seeds(rows, base), score)


def of_common_seeds(rows: list[Row], base: list[Row]) -> tuple[list[Row], list[Row]]:
    """Those of both sides whose seeds both have."""
    seeds = common_seeds(rows, base)
    return [row for row in rows if row["seed"] in seeds], [row for row in base if row["seed"] in seeds]


def patient_gains(rows: list[Row], base: list[Row], score: str) -> dict[str, float]:
    """The difference of each patient's mean over the seeds."""
    ours, theirs = by_seed(rows, base, score)
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    return dict(zip(per_patient(rows[0], score), difference.tolist(), strict=True))


def mean_interval(rows: list[Row], base: list[Row], score: str) -> tuple[float, float, float]:
    """Mean difference over patients, and its 95 % interval by a bootstrap: over the patients, the same on both sides,
    and over the seeds of either side, of which a single one tells nothing of how seeds differ."""
    rng = np.random.default_rng(0)
    ours, theirs = by_seed(rows, base, score)
    patients = rng.integers(ours.shape[1], size=(DRAWS, 1, ours.shape[1]))

    def drawn(values: np.ndarray) -> np.ndarray:
        seeds = rng.integers(len(values), size=(DRAWS, len(values), 1))
        return values[seeds, patients].mean(axis=(1, 2))

    low, high = np.quantile(drawn(ours) - drawn(theirs), [0.025, 0.975])
    return float(ours.mean() - theirs.mean()), float(low), float(high)


def spread(rows: list[Row], score: str = "miou") -> str:
    """Mean over seeds, with the smallest and largest."""
    values = [row["scores"][score] for row in rows]
    if not values:
        return "–"
    ends = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{ends}"


def study_table(rows: list[Row], score: str = "miou") -> str:
    """One line per fraction; what pre-training gains over scratch is paired by patient."""
    found = cells(rows)
    there = [init for init in TITLES if any(name == init for name, _ in found)]
    head = [
        "labels",
        "patients",
        *(TITLES[init] for init in there),
        *(f"gain, {TITLES[i]}" for i in there[1:]),
        "seeds",
    ]
    lines = []
    for fraction in sorted({fraction for _, fraction in found}):
        own = {init: found.get((init, fraction), []) for init in there}
        gained = [gain_of_seeds(own["scratch"], own[init], score) if "scratch" in own else "–" for init in there[1:]]
        patients = next(row["patients"] for init in there for row in own[init])
        seeds = ", ".join(str(len(own[init])) for init in there)
        lines.append([f"{fraction} %", str(patients), *(spread(own[init], score) for init in there), *gained, seeds])
    return table(head, lines)


def gain_over(base: list[Row], rows: list[Row], score: str = "miou") -> str:
    """The mean gain in points with its interval, of the seeds that both have."""
    if not common_seeds(rows, base):
        return "–"
    return in_points(paired_interval(rows, base, score))


def gain_of_seeds(base: list[Row], rows: list[Row], score: str) -> str:
    """The same, but of a single seed the mean alone: an interval would leave out how seeds differ."""
    if len(common_seeds(rows, base)) != 1:
        return gain_over(base, rows, score)
    return f"{100 * paired_interval(rows, base, score)[0]:+.1f} (one seed)"


def in_points(interval: tuple[float, float, float]) -> str:
    """A mean and its interval, in hundredths."""
    mean, low, high = (100 * value for value in interval)
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def verdict(rows: list[Row], least: float = 0.03) -> str:
    """Whether pre-training is worth what the paper says, as far as these rows can tell."""
    found = gains(rows)
    run = {share for _, share in cells(rows)}
    wanted = {share: least if share in (10, 20) else 0.0 for share in {10, 20} | run}
    met, short, absent = [], [], []
    for share, floor in sorted(wanted.items()):
        if share not in found:
            absent.append(f"{share} %")
        else:
            (met if found[share] >= floor else short).append(f"{share} % ({100 * found[share]:+.1f})")
    parts = [
        f"Aimed at was a gain in `miou` at every share of the labels, of {100 * least:.0f} points at 10 and 20 %.",
        f"Reached at {', '.join(met)}." if met else "",
        f"NOT reached at {', '.join(short)}." if short else "",
        f"Not compared at {', '.join(absent)}." if absent else "",
    ]
    return " ".join(filter(None, parts))


def share_that_suffices(rows: list[Row]) -> str:
    """With how many of the labels a net does as well as one from scratch with all of them: pre-trained, and, since that
    alone would not tell what pre-training has to do with it, from scratch."""
    found = cells(rows)
    base = found.get(("scratch", 100), [])
    if not base:
        return ""
    told = [f"{TITLES[init]}, {enough(found, init, base)}" for init in ("pretrained", "scratch")]
    return f"The least share of the labels run that is not below scratch with all in the mean: {'; '.join(told)}."


def enough(found: dict[tuple[str, int], list[Row]], init: str, base: list[Row]) -> str:
    """The least share of the labels at which an initialisation is not below ``base`` in either score."""
    for share in sorted(share for name, share in found if name == init):
        own = found[init, share]
        if own is base:
            continue
        intervals = {score: mean_interval(own, base, score) for score in CURVES}
        if all(mean >= 0 for mean, _, _ in intervals.values()):
            gained = ", ".join(f"{in_points(interval)} points of `{score}`" for score, interval in intervals.items())
            return f"{share} %: {gained} ({len(own)} and {len(base)} seeds)"
    return "none"


def better_rates(rows: list[Row]) -> str:
    """Where rates that the tables do not show did better: without it a baseline would look weaker than it is."""
    found = cells(rows)
    better = []
    for (init, fraction, rates), own in sorted(by_rates(rows).items()):
        shown = found.get((init, fraction))
        if shown and rates_of(shown[0]) != rates and mean_miou(own) > mean_miou(shown):
            lr, share = rates
            backbone = "" if init == "scratch" else f" and {lr * share:g} for the backbone"
            better.append(
                f"{TITLES[init]} with {fraction} %, {spread(own)} at a rate of {lr:g}{backbone} (seeds: {len(own)})"
            )
    return f"Learning rates that the table does not show did better: {'; '.join(better)}." if better else ""


def mean_miou(rows: list[Row]) -> float:
    """Over the seeds."""
    return float(np.mean([row["scores"]["miou"] for row in rows]))


def by_rates(rows: list[Row]) -> dict[tuple[str, int, tuple[float, float]], list[Row]]:
    """The seeds of each initialisation, share of labels and pair of rates."""
    tried: dict[tuple[str, int, tuple[float, float]], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["seed"]):
        tried[row["init"], row["fraction"], rates_of(row)].append(row)
    return tried


def rates_table(rows: list[Row]) -> str:
    """All learning rates that were tried, and which of them the other tables show."""
    shown = cells(rows)
    lines = [
        [TITLES[init], f"{fraction} %", f"{lr:g}", f"{share:g}", *(spread(own, score) for score in CURVES),
         str(len(own)), "yes" if shown[init, fraction] == own else ""]
        for (init, fraction, (lr, share)), own in sorted(by_rates(rows).items())
    ]  # fmt: skip
    head = ["initialisation", "labels", "highest learning rate", "backbone's share of it"]
    return table([*head, *(f"`{score}`" for score in CURVES), "seeds", "in the tables"], lines)


def flatness_table(rows: list[Row]) -> str:
    """How far along the runs of each cell were at shares of their steps: whether more steps would have helped."""
    lines = [
        [TITLES[init], f"{fraction} %", *(f"{value:.3f}" for value in reached(own))]
        for (init, fraction), own in sorted(cells(rows).items())
    ]
    return table(["initialisation", "labels", *(f"{share:.0%} of the steps" for share in SHARES_OF_STEPS)], lines)


def still_rising(rows: list[Row], least: float = 0.01) -> str:
    """Which cells were not flat in the last stretch: a gain over such a one may shrink with more steps."""
    rising = []
    for (init, fraction), own in sorted(cells(rows).items()):
        *_, before, last = reached(own)
        if last - before > least:
            rising.append(f"{TITLES[init]} with {fraction} % ({100 * (last - before):+.1f})")
    if not rising:
        return "None rose by more than a point in the last stretch."
    return f"Still rising by more than a point in the last stretch: {'; '.join(rising)}. More steps may help them."


def reached(rows: list[Row]) -> list[float]:
    """The mean `val_miou` at SHARES_OF_STEPS."""
    return [float(np.mean([nearest(row, share) for row in rows])) for share in SHARES_OF_STEPS]


def nearest(row: Row, share: float) -> float:
    """The `val_miou` of the validation nearest to a share of a run's steps."""
    step = min(row["curve"], key=lambda step: abs(int(step) - share * row["steps"]))
    return float(row["curve"][step])


def patient_table(rows: list[Row]) -> str:
    """What pre-training gains on each patient, in points: whether a mean is that of many or of one."""
    columns = {
        f"{share} %, `{score}`": patient_gains(*of_common_seeds(*pair), score)
        for share, pair in compared(rows).items()
        for score in CURVES
    }
    patients = sorted(set().union(*columns.values()))
    lines = [[patient, *(f"{100 * own[patient]:+.1f}" for own in columns.values())] for patient in patients]
    return table(["patient", *columns], lines)


def budgets(rows: list[Row]) -> dict[tuple[str, int, int], list[Row]]:
    """Rows of an ablation that may be compared: same data set, steps and faces of the default."""
    found: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["dataset"], row["steps"], row["faces"]].append(row)
    return dict(sorted(found.items()))


def by_variant(rows: list[Row]) -> dict[str, list[Row]]:
    """The seeds of each variant: the default, from scratch, then by name."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["variant"] not in ("default", "from scratch"), row["variant"])):
        found[row["variant"]].append(row)
    return dict(found)


def ablation_table(rows: list[Row]) -> str:
    """One line per variant of the recipe."""
    found = by_variant(rows)
    base = found.get("default", [])
    lines = []
    for name, own in found.items():
        line = [f"{name} ¹" if any(map(scored_before, own)) else name]
        for score in CURVES:
            line += [spread(own, score), "–" if name == "default" else gain_over(base, own, score)]
        boundary = np.mean([row["scores"]["boundary_iou"] for row in own])
        lines.append([*line, f"{boundary:.3f}", f"{own[0]['parameters'] / 1e6:.2f}", str(len(own))])
    head = ["change", *(text for score in CURVES for text in (f"`{score}`", "gain in points"))]
    return table([*head, "`boundary_iou`", "million parameters", "seeds"], lines)


def scored_before(row: Row) -> bool:
    """Whether a row's scores are those of an older prediction than the others'."""
    return (row.get("scored") or row["facts"]["git"]) in OLDER_PREDICTION


def ablation_verdict(rows: list[Row]) -> str:
    """Which changes tell, by the intervals of both scores, and which do not."""
    found = by_variant(rows)
    base = found.pop("default", [])
    told: dict[str, list[str]] = defaultdict(list)
    for name, own in found.items():
        if common_seeds(own, base):
            intervals = [paired_interval(own, base, score) for score in CURVES]
            worse = all(high < 0 for _, _, high in intervals)
            better = all(low > 0 for _, low, _ in intervals)
            told["worse" if worse else "better" if better else "not told apart from the default"].append(name)
    return " ".join(f"{what.capitalize()}: {'; '.join(names)}." for what, names in sorted(told.items(), reverse=True))


def draw_curve(rows: list[Row], title: str, files: list[Path]) -> None:
    """Above, the scores over the share of labels: every seed a point, their means a line; below, what is gained over
    scratch, paired by patient, with its 95 % interval. On the left `miou`, on the right the same with numbers aside."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "toothgraph"  # the same figures give the same file
    figure, axes = plt.subplots(
        2, 2, figsize=(9.0, 6.0), layout="constrained", sharex=True, sharey="row", height_ratios=(2, 1)
    )
    found = cells(rows)
    for (upper, lower), (score, name) in zip(axes.T, CURVES.items(), strict=True):
        _draw_scores(upper, found, score)
        _draw_gains(lower, found, score)
        upper.set_title(name)
        ticks = sorted({fraction for _, fraction in found})
        lower.set(xlabel="labelled training patients, %", xscale="log")
        lower.set_xticks(ticks, labels=list(map(str, ticks)))
        lower.set_xticks([], minor=True)
        if len(ticks) == 1:  # else nothing is seen of it
            lower.set_xlim(ticks[0] / 2, ticks[0] * 2)
    axes[0, 0].set_ylabel("mean over other patients")
    axes[1, 0].set_ylabel("gain, points")
    axes[0, 0].legend(frameon=False)
    figure.suptitle(title)
    for file in files:
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def _draw_scores(axes: Any, found: dict[tuple[str, int], list[Row]], score: str) -> None:
    for init, colour in COLOURS.items():
        points = [
            (fraction, [row["scores"][score] for row in own]) for (name, fraction), own in found.items() if name == init
        ]
        if not points:
            continue
        points.sort()
        axes.plot([x for x, _ in points], [np.mean(y) for _, y in points], color=colour, label=TITLES[init])
        for x, values in points:
            axes.plot([x] * len(values), values, "o", color=colour, markersize=4, alpha=0.7)
    axes.grid(alpha=0.3)


def _draw_gains(axes: Any, found: dict[tuple[str, int], list[Row]], score: str) -> None:
    shift = {"pretrained": 1.0, "more": 1.05}  # so that one does not hide the other
    for (init, fraction), own in found.items():
        base = found.get(("scratch", fraction), [])
        if init not in shift or not common_seeds(own, base):
            continue
        mean, low, high = (100 * value for value in paired_interval(own, base, score))
        reach = [[mean - low], [high - mean]]
        at = fraction * shift[init]
        axes.errorbar(at, mean, reach, fmt="o", color=COLOURS[init], markersize=4, capsize=3)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.grid(alpha=0.3)
