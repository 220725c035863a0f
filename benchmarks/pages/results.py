"""The sections of the pages in docs/results on scans, trainings, ablations and teeth.

weights.py has the sections on trained weights, and summary.py the page that links the pages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.pages.ablation_tables import ablation_table, ablation_verdict, budgets, scored_before
from benchmarks.pages.curves import curve_name
from benchmarks.pages.markdown import facts_of, number, rendered, table
from benchmarks.pages.statistics import DRAWS, Row, has_pair, studies
from benchmarks.pages.study_tables import (
    better_rates,
    few_labels,
    flatness_table,
    of_compared,
    patient_table,
    rates_table,
    share_that_suffices,
    still_rising,
    study_table,
    verdict,
)
from toothgraph.metrics.definitions import METRICS
from toothgraph.scan_names import patient_of


def patients_in(per_scan: list[Row]) -> set[str]:
    """The patients of some rows of scans."""
    return {patient_of(row["scan_id"]) for row in per_scan}


def scans_section(trained: dict[str, Any], weights: dict[str, Any]) -> str:
    """The section on the scans. They are counted in the results of the whole path and of the default weights."""
    validated = trained["per_scan"]
    train, validate = len(weights["header"]["patients"]), len(patients_in(validated))
    others = {name: weights["sets"][f"{name}, as stored"]["per_scan"] for name in ("teeth3ds", "odd-scans")}
    counts = {name: {"scans": len(rows), "patients": len(patients_in(rows))} for name, rows in others.items()}
    return rendered(
        "results/scans",
        iosseg={
            "scans": trained["pretrain"]["train_scans"] + len(validated),
            "patients": train + validate,
            "faces": f"{max(row['faces'] for row in validated):,}",
            "train": train,
            "validate": validate,
        },
        teeth3ds=counts["teeth3ds"],
        odd=counts["odd-scans"],
    )


def real_scans(content: dict[str, Any]) -> str:
    """The section on the whole path, on real scans."""
    scores, worst = content["scores"], sorted(content["per_scan"], key=lambda row: row["miou"])[:5]
    flat = [
        [f"`{key}`", number(value, 4), METRICS[key]] for key, value in scores.items() if not isinstance(value, dict)
    ]
    nested = [
        [f"`{key}`", *(number(value[part], 4) for part in ("exp_tla", "tsa", "tir", "score"))]
        for key, value in scores.items()
        if isinstance(value, dict)
    ]
    teeth = [
        [str(row["fdi"] or "gingiva"), *(number(row[key]) for key in ("iou", "dice", "precision", "recall")),
         str(row["scans"])]
        for row in content["per_tooth"]
    ]  # fmt: skip
    keys = ("miou", "accuracy", "boundary_iou")
    return rendered(
        "results/real_scans",
        train_scans=content["pretrain"]["train_scans"],
        labelled_scans=content["finetune"]["train_scans"],
        scans=len(content["per_scan"]),
        patients=len(patients_in(content["per_scan"])),
        facts=content["facts"],
        seed=content["finetune"]["options"]["seed"],
        commands="\n".join(content["commands"].values()),
        note=content["note"],
        minutes={name: seconds / 60 for name, seconds in content["seconds"].items()},
        pretrain=content["pretrain"]["last"],
        finetune=content["finetune"]["last"],
        miou=scores["miou"],
        scores=table(["score", "value", "definition"], flat),
        challenge=table(["3DTeethSeg challenge", "exp(−TLA)", "TSA", "TIR", "score"], nested),
        teeth=table(["FDI", "IoU", "Dice", "precision", "recall", "scans"], teeth),
        worst=table(["scan", *keys], [[row["scan_id"], *(number(row[key]) for key in keys)] for row in worst]),
    )


def label_efficiency(rows: list[Row]) -> str:
    """The section on fewer labels, with tables and a curve for each set of rows that may be compared."""
    found = {key: own for key, own in studies(rows).items() if has_pair(own)}
    largest_first = sorted(found.items(), key=lambda item: -len(item[1]))
    single = sorted({row["fraction"] for row in rows if row["patients"] == 1})
    return rendered(
        "results/label_efficiency",
        also=sorted({row["also"] for row in rows if row.get("also")}),
        draws=f"{DRAWS:,}",
        single=" and ".join(map(str, single)),
        few=few_labels(largest_first[0][1]),
        own={
            "minutes": float(np.median([row["minutes"] for row in largest_first[0][1]])),
            **{name: largest_first[0][1][0][name] for name in ("steps", "faces")},
        },
        studies=[one_study(key, own) for key, own in largest_first],
    )


def one_study(key: tuple[str, str, str, int, int], own: list[Row]) -> dict[str, Any]:
    """The data of the section on fewer labels for one set of rows that may be compared."""
    return {
        **dict(zip(("protocol", "dataset", "recipe", "steps", "faces"), key, strict=True)),
        "facts": facts_of(own),
        "runs": len(own),
        "hours": sum(row["minutes"] for row in own) / 60,
        "miou": study_table(of_compared(own)),
        "miou_matched": study_table(of_compared(own), "miou_matched"),
        "flatness": flatness_table(own),
        "rising": still_rising(own),
        "rates": rates_table(own),
        "curve": curve_name(*key),
        "verdict": verdict(own),
        "suffices": share_that_suffices(own),
        "better_rates": better_rates(own),
        "by_patient": patient_table(own),
    }


def ablation(rows: list[Row]) -> str:
    """The section on the parts of the recipe."""
    found = [
        {
            "dataset": dataset,
            "steps": steps,
            "faces": faces,
            "facts": facts_of(own),
            "table": ablation_table(own),
            "older": any(map(scored_before, own)),
            "verdict": ablation_verdict(own),
        }
        for (dataset, steps, faces), own in budgets(rows).items()
    ]
    return rendered("results/ablation", budgets=found)


def tooth_cuts(content: dict[str, Any]) -> str:
    """The section on the sizes and cuts that tell one tooth from two neighbours."""
    limits = content["limits"]
    shares = ("large", "bulky", "narrow", "less narrow", "parted")
    lines = [
        [what, str(content[what]["count"]), *(f"{100 * content[what][share]:.1f} %" for share in shares)]
        for what in ("one tooth", "two neighbours")
    ]
    heads = [
        "what has one number",
        "count",
        f"{limits['large']} times as large or more",
        f"more than {limits['bulky']} times",
        f"cut of {limits['narrow']} or less",
        f"of {limits['less narrow']} or less",
        "parted",
    ]
    areas = [[jaw, *(f"{area:.0f}" for area in of.values())] for jaw, of in content["areas"].items()]
    return rendered(
        "results/tooth_cuts",
        scans=content["scans"],
        cuts=table(heads, lines),
        areas=table(["jaw", *map(str, range(1, 9))], areas),
        facts=content["facts"],
    )


def tooth_sizes(content: dict[str, Any]) -> str:
    """The section on labels that count past a gap."""
    lines = [[row["set"], row["scan_id"], ", ".join(map(str, row["odds"]))] for row in content["counted"]]
    ratios = [
        [pair, str(row["pairs"]), *(f"{np.exp(middle):.2f} (±{100 * deviation:.0f} %)" for middle, deviation in
                                    zip(row["median"], row["deviation"], strict=True))]
        for pair, row in content["ratios"].items()
    ]  # fmt: skip
    return rendered(
        "results/tooth_sizes",
        scans=content["scans"],
        counted=content["counted"],
        ratios=table(["teeth", "pairs", "mesiodistal", "buccolingual"], ratios),
        table=table(["set", "scan", "odds that it is a molar, nats, by side"], lines),
        facts=content["facts"],
    )
