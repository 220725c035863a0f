"""The page docs/results.md, a summary for a new reader, and the model card. Long tables are on other pages."""

from __future__ import annotations

from typing import Any

from benchmarks.pages.ablation_tables import ablation_verdict, by_variant, largest_budget
from benchmarks.pages.few_patients import RECIPES, gains_table, one_patient, protocols
from benchmarks.pages.markdown import number, points, rendered, table
from benchmarks.pages.results import scans_section
from benchmarks.pages.statistics import Row, studies
from benchmarks.pages.weights import WHOLE, flat_scores
from benchmarks.studies.default_weights import CONDITIONS
from benchmarks.studies.missing_teeth import KINDS
from toothgraph import weights
from toothgraph.anatomy.frame import TEETH_NEEDED

ORIGINS = {
    "3d-iosseg": "other patients of the same set",
    "teeth3ds": "another scanner",
    "odd-scans": "exports of other programs",
}
SCORES = ("miou", "miou_matched", "numbers_right", "accuracy")


def weights_table(unseen: dict[str, Any], package: dict[str, Any], sets: str = "sound") -> str:
    """A table of scores of the weights in the package.

    It begins with arches that nobody who works on the package has seen. Then follow the scans with which the package
    was developed.

    Args:
        unseen: scores by others, with their revision.
        package: content of default_weights.json.
        sets: which scores of ``package``: ``sound`` (without labels that count past a gap) or ``scores``.
    """
    lines = [
        ["unseen", of["what"], of["set"] + (", labels that contradict the teeth left out" if of["sound"] else ""),
         str(of["scans"]), *(number(of.get(key)) for key in SCORES), unseen["revision"]]
        for of in unseen["sets"]
    ]  # fmt: skip
    for name, content in package["sets"].items():
        if name.endswith(CONDITIONS[0]):  # scored in the same way as the unseen scans
            which = name.split(",")[0]
            lines.append(
                ["developed on", ORIGINS[which], which, str(content[sets]["scans"]),
                 *(number(content[sets].get(key)) for key in SCORES), package["facts"]["git"]]
            )  # fmt: skip
    return table(["scans were", "what they are", "set", "scans", *(f"`{key}`" for key in SCORES), "revision"], lines)


def unseen_facts(unseen: dict[str, Any], package: dict[str, Any]) -> dict[str, Any]:
    """The data for the sentences on the unseen arches."""
    rows = unseen["sets"]
    every = [row for row in rows if not row["sound"]]
    first, sound = (next(row for row in rows if row["sound"] == kind) for kind in (False, True))
    own = package["sets"][f"3d-iosseg, {CONDITIONS[0]}"]["scores"]
    return {
        "revision": unseen["revision"],
        "source": unseen["source"],
        "command": unseen["command"],
        "sha256": unseen["weights_sha256"],
        "package": _beside_package(unseen, package),
        "note": unseen["note"],
        "scans": sum(row["scans"] for row in every),
        "first": first,
        "sound": sound,
        "contradict": first["scans"] - sound["scans"],
        "seen": own,
    }


def _beside_package(unseen: dict[str, Any], package: dict[str, Any]) -> str:
    """How the weights and the code that were scored on unseen arches differ from those of the package."""
    if not package["sha256"].startswith(unseen["weights_sha256"]):
        return "other weights"
    return "same" if unseen["revision"] == package["facts"]["git"] else "other code"


def peers_table(peers: dict[str, Any]) -> str:
    """A table of nets of others on the published test split, with the scores that one of them reports."""
    return table(["net", "`miou`, reported"], [[row["net"], number(row["miou"])] for row in peers["rows"]])


def steps_table(content: dict[str, Any]) -> str:
    """A table of the change in points of `miou` when a step of prediction is left out; gains are marked."""
    sets = list(content["sets"])
    lines = []
    for step in next(iter(content["sets"].values())):
        if step == WHOLE:
            lines.append([step, *(number(content["sets"][name][step]["scores"]["miou"]) for name in sets)])
            continue
        cells = []
        for name in sets:
            change = content["sets"][name][step]["scores"]["miou"] - content["sets"][name][WHOLE]["scores"]["miou"]
            cells.append(points(change) + (" ¹" if change > 0.01 else ""))
        lines.append([step, *cells])
    return table(["prediction", *sets], lines)


def steps_worth(own: dict[str, Any]) -> list[tuple[str, float]]:
    """The change of `miou` on a set when each step is left out, with the largest loss first."""
    whole = own[WHOLE]["scores"]["miou"]
    changes = [(step, found["scores"]["miou"] - whole) for step, found in own.items() if step != WHOLE]
    return sorted(changes, key=lambda one: one[1])


def warned(summary: dict[str, Any]) -> dict[str, int]:
    """How many scans with and without a wrong number get a warning, over all kinds of mouth."""
    kinds = summary.values()
    wrong = sum(row["scans_wrong"] for row in kinds)
    return {
        "wrong": wrong,
        "wrong_told": sum(row["wrong_with"]["doubts"] for row in kinds),
        "right": sum(row["scans"] for row in kinds) - wrong,
        "right_told": sum(row["right_with"]["doubts"] for row in kinds),
    }


def numbers_table(content: dict[str, Any]) -> str:
    """A table of how often numbers are right, by kind of mouth."""
    found = next(iter(content["by"].values()))["summary"]
    lines = [
        [kind, str(row["scans"]), str(row["teeth"]), *(f"{low:.3f} ({a:.3f} to {b:.3f})" for low, a, b in
                                                      (row["numbers_right"], row["right_or_said"]))]
        for kind in KINDS
        for row in [found[kind]]
    ]  # fmt: skip
    return table(["kind of mouth", "scans", "teeth", "numbers right", "right or reported"], lines)


def model_card(package: dict[str, Any], unseen: dict[str, Any]) -> str:
    """The page docs/model_card.md."""
    return rendered(
        "model_card",
        sha256=package["sha256"],
        megabytes=package["bytes"] / 1e6,
        header=package["header"],
        notice=weights.notice(),
        unseen=unseen_facts(unseen, package),
        first=weights_table(unseen, package),
        scores=flat_scores(package["sets"]),
        teeth_needed=TEETH_NEEDED,
    )


def training_minutes(study: list[Row]) -> dict[str, Any]:
    """The minutes of both trainings by the default recipe with all labels: the least and the most of all runs."""
    own = max(studies(study).values(), key=len)
    runs = [row for row in own if (row["init"], row["fraction"]) == ("pretrained", 100)]
    said: dict[str, Any] = {"runs": len(runs)}
    for stage, key in (("pretrain", "pretrain_minutes"), ("finetune", "minutes")):
        took = [row[key] for row in runs]
        said[stage] = f"{min(took):.0f} to {max(took):.0f}"
    return said


def short_recipe(rows: list[Row]) -> dict[str, int]:
    """Steps and faces of an ablation, and how many of its changes were run with one seed."""
    seeds = {variant: len(own) for variant, own in by_variant(rows).items() if variant != "default"}
    return {
        "steps": rows[0]["steps"],
        "faces": rows[0]["faces"],
        "single": sum(count == 1 for count in seeds.values()),
    }


def results_page(read: dict[str, Any], study: list[Row], few: list[Row], ablations: list[Row]) -> str:
    """The page docs/results.md.

    Args:
        read: the content of the result files, by name.
        study: rows of the label-efficiency study.
        few: rows of the study of few labelled patients.
        ablations: rows of the ablation.
    """
    package, unseen, run = read["default_weights"], read["unseen"], read["real_scans"]
    own = largest_budget(ablations)
    missing = next(iter(read["missing_teeth"]["by"].values()))["summary"]
    synthetic = read["synthetic_weights"]["sets"]["3d-iosseg, as stored"]["scores"]
    steps = read["prediction_steps"]["sets"]
    by_recipe = {name: rows for name, rows in protocols(few).items() if name != "paper"}
    return rendered(
        "results",
        scans=scans_section(run, package),
        weights=weights_table(unseen, package),
        unseen=unseen_facts(unseen, package),
        peers=peers_table(read["peers"]),
        peers_source=read["peers"]["source"],
        one=one_patient(few),
        patients={RECIPES[name]: gains_table(own) for name, own in by_recipe.items()},
        missing=missing,
        kinds=numbers_table(read["missing_teeth"]),
        warned=warned(missing),
        worth=steps_worth(steps["3d-iosseg"]),
        steps=steps_table(read["prediction_steps"]),
        numbering={
            "scans": len(package["sets"]["odd-scans, as stored"]["per_scan"]),
            "sound": package["sets"]["odd-scans, as stored"]["sound"]["scans"],
            "right": package["sets"]["odd-scans, as stored"]["sound"]["numbers_right"],
        },
        verdict=ablation_verdict(own),
        variants=len({row["variant"] for row in own}) - 1,
        short=short_recipe(own),
        minutes=training_minutes(study),
        run={"scans": run["finetune"]["train_scans"],
             "threads": run["facts"]["hardware"]["threads"]},
        synthetic=synthetic,
        real=package["sets"]["3d-iosseg, as stored"]["scores"],
    )  # fmt: skip
