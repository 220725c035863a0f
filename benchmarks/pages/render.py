"""Render docs/results.md, model_card.md and reliability.md, benchmarks/README.md and the figures of README.md.

    python -m benchmarks.pages.render

All come from benchmarks/results; the words are in benchmarks/pages/templates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.pages import results, weights
from benchmarks.pages.curves import draw_curves
from benchmarks.pages.markdown import number, rendered, table
from benchmarks.pages.reliability import reliability_page
from benchmarks.pages.speed import speed_page
from benchmarks.pages.statistics import Row, studies
from benchmarks.pages.study_tables import few_labels
from benchmarks.pages.what_did_not_help import what_did_not_help
from benchmarks.paths import DOCS, RESULTS, ROOT
from benchmarks.studies.ablation import RESULT as ABLATION
from benchmarks.studies.default_weights import CONDITIONS
from benchmarks.studies.label_efficiency import RESULT as STUDY
from benchmarks.studies.rows import read_rows
from toothgraph.system.files import write_text

README = ROOT / "README.md"
ORIGINS = {
    "3d-iosseg": "other patients of the same set",
    "teeth3ds": "another scanner",
    "odd-scans": "exports of other programs",
}
FIGURES = ("<!-- rendered by benchmarks.pages.render -->", "<!-- end of what is rendered -->")


def results_page() -> str:
    """docs/results.md."""
    study, ablations, real_scans = read_rows(STUDY), read_rows(ABLATION), read_result("real_scans")
    package = read_result("default_weights")
    sections = [
        results.scans_section(real_scans, package),
        results.real_scans(real_scans),
        results.label_efficiency(study),
        results.ablation(ablations),
        weights.default_weights(package),
        weights.prediction_steps(read_result("prediction_steps")),
        *([weights.rules_sweep(read_result("rules_sweep"))] if (RESULTS / "rules_sweep.json").exists() else []),
        weights.missing_teeth(read_result("missing_teeth")),
        weights.one_patient(read_result("one_patient")),
        results.tooth_cuts(read_result("tooth_cuts")),
        results.tooth_sizes(read_result("tooth_sizes")),
        weights.synthetic_weights(read_result("synthetic_weights")),
        what_did_not_help(study, ablations),
    ]
    return rendered("results", sections=sections)


def readme_figures(package: dict[str, Any], rows: list[Row], run: dict[str, Any], draws: list[dict[str, Any]]) -> str:
    """The part of README.md that tells how good the results are: the weights, the study with the most runs, and how
    long a run of the whole path took."""
    own = max(studies(rows).values(), key=len)
    reached = [row["scores"]["miou"] for row in draws]
    scores = [
        [ORIGINS[name.split(",")[0]], name.split(",")[0], str(content["sound"]["scans"]),
         *(number(content["sound"][key]) for key in ("miou", "miou_matched", "numbers_right", "accuracy"))]
        for name, content in package["sets"].items()
        if name.endswith(CONDITIONS[-1])
    ]  # fmt: skip
    return rendered(
        "readme_section",
        scores=table(
            ["what they are", "set", "scans", "`miou`", "`miou_matched`", "`numbers_right`", "`accuracy`"], scores
        ),
        few=few_labels(own),
        draws={"count": len(reached), "worst": number(min(reached)), "best": number(max(reached))},
        minutes={stage: f"{seconds / 60:.0f}" for stage, seconds in run["seconds"].items()},
        seconds=f"{run['seconds']['evaluate'] / len(run['per_scan']):.0f}",
        threads=run["facts"]["hardware"]["threads"],
        train_scans=run["finetune"]["train_scans"],
        faces=f"{max(row['faces'] for row in run['per_scan']):,}",
    )


def readme(page: str) -> str:
    """README.md with its figures as the result files have them."""
    begin, end = FIGURES
    before, rest = page.split(begin)
    _, after = rest.split(end)
    figures = readme_figures(
        read_result("default_weights"), read_rows(STUDY), read_result("real_scans"), read_result("one_patient")["rows"]
    )
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def read_result(name: str) -> dict[str, Any]:
    """The content of a result file."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def pages() -> dict[Path, str]:
    """All that is rendered from the result files of this repository."""
    made = {
        RESULTS.parent / "README.md": speed_page(RESULTS),
        DOCS / "results.md": results_page(),
        DOCS / "model_card.md": weights.model_card(read_result("default_weights")),
        DOCS / "reliability.md": reliability_page(read_result("fuzz"), read_result("many_scans")),
    }
    return {README: readme(README.read_text(encoding="utf-8")), **{file: f"{page}\n" for file, page in made.items()}}


def main() -> None:
    """Write the pages and the curves."""
    draw_curves(read_rows(STUDY))
    for file, page in pages().items():
        write_text(file, page)
        print(file)


if __name__ == "__main__":
    main()
