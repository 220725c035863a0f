"""The section on changes that did not help, from the rows of the studies."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.pages.ablation_tables import by_variant, largest_budget
from benchmarks.pages.markdown import points, rendered
from benchmarks.pages.statistics import (
    Row,
    by_rates,
    cells,
    compared,
    gains,
    mean_miou,
    of_common_seeds,
    paired_interval,
    patient_gains,
    rates_of,
    reached,
    studies,
)
from benchmarks.pages.study_tables import CURVES, GOAL, GOAL_SHARES

NO_CANINES = "078"  # the patient whose upper jaw is labelled without canines
TUNED, TRIED_RATES = 10, (0.006, 0.003)  # share of labels, and rates that were first tried there with one seed


def what_did_not_help(rows: list[Row], ablations: list[Row]) -> str:
    """The section on changes that did not help."""
    own = max(studies(rows).values(), key=len)
    found, variants = cells(own), by_variant(largest_budget(ablations))
    few, every = found["scratch", GOAL_SHARES[0]], found["scratch", 100]
    of_patients = {share: patient_gains(*of_common_seeds(*pair), "miou") for share, pair in compared(own).items()}
    return rendered(
        "results/what_did_not_help",
        bent=gains_of_variant(variants, "augmentation: bent by 1 mm"),
        scaled=gains_of_variant(variants, "augmentation: scale 0.2"),
        goal=goal_of(own),
        few={"patients": few[0]["patients"], "miou": mean_miou(few)},
        all={"patients": every[0]["patients"], "miou": mean_miou(every)},
        pretrained=mean_miou(found["pretrained", 100]),
        best=max(row["scores"]["miou"] for row in own),
        no_canines=NO_CANINES,
        canines=[of_patients[share][NO_CANINES] for share in GOAL_SHARES],
        others=[without(of_patients[share], NO_CANINES) for share in GOAL_SHARES],
        single=single_patient(own, of_patients),
        twice=twice_the_steps(rows, own),
        tuning=tuned_on_one_seed(own),
        more=more_scans(found),
    )


def gains_of_variant(variants: dict[str, list[Row]], name: str) -> list[str]:
    """The gain of a change of the recipe in both scores, in points."""
    return [points(paired_interval(variants[name], variants["default"], score)[0]) for score in CURVES]


def goal_of(own: list[Row]) -> dict[str, Any]:
    """The expected gain of pre-training, its real gain, and the learning rates that it was run with."""
    found, rates = gains(own), {share: set[float]() for share in GOAL_SHARES}
    heads = set()
    for row in own:
        if row["init"] == "pretrained" and row["fraction"] in rates:
            lr, share = rates_of(row)
            rates[row["fraction"]].add(share)
            heads.add(lr)
    return {
        "least": GOAL,
        "shares": GOAL_SHARES,
        "gains": [found[share] for share in GOAL_SHARES],
        "rates": {share: sorted(tried) for share, tried in rates.items()},
        "heads": sorted(heads),
    }


def without(of_patients: dict[str, float], left_out: str) -> float:
    """The mean gain over all patients except one."""
    return float(np.mean([gain for patient, gain in of_patients.items() if patient != left_out]))


def single_patient(own: list[Row], of_patients: dict[int, dict[str, float]]) -> dict[str, Any]:
    """The number of patients in the smallest share of labels, and the smallest gain of any patient there."""
    share = min(of_patients)
    patients = next(row["patients"] for row in own if row["fraction"] == share)
    return {"patients": patients, "least": min(of_patients[share].values())}


def twice_the_steps(rows: list[Row], own: list[Row]) -> dict[str, Any]:
    """The results from scratch with all labels and twice the steps of a study."""
    like = own[0]
    more = [
        row for row in rows
        if row["steps"] == 2 * like["steps"] and row["init"] == "scratch" and row["fraction"] == 100
        and all(row[name] == like[name] for name in ("protocol", "dataset", "faces"))
    ]  # fmt: skip
    *_, before, last = reached(more)
    ours, once = of_common_seeds(more, cells(own)["scratch", 100])
    return {"steps": more[0]["steps"], "miou": mean_miou(ours), "once": mean_miou(once), "seeds": len(ours),
            "rise": last - before}  # fmt: skip


def tuned_on_one_seed(own: list[Row]) -> dict[str, Any]:
    """How much better one learning rate is than another, with the first seed and with all seeds."""
    found = by_rates(own)
    better, other = (found["scratch", TUNED, (rate, 1.0)] for rate in TRIED_RATES)
    one = better[0]["scores"]["miou"] - other[0]["scores"]["miou"]
    several = mean_miou(better) - mean_miou(other)
    return {"share": TUNED, "rates": TRIED_RATES, "one": one, "several": several, "seeds": len(better)}


def more_scans(found: dict[tuple[str, int], list[Row]]) -> dict[str, Any]:
    """The gain of synthetic arches in pre-training, at the smallest share of labels that was run with them."""
    share = min(share for init, share in found if init == "more")
    ours, base = of_common_seeds(found["more", share], found["pretrained", share])
    return {"seeds": len(ours), "gains": [paired_interval(ours, base, score)[0] for score in CURVES]}
