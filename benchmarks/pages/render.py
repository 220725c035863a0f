"""Render all pages and figures that come from benchmarks/results.

    python -m benchmarks.pages.render

The pages are docs/results.md, the pages in docs/results, docs/model_card.md, docs/reliability.md and
benchmarks/README.md. The figures in README.md and docs/measures.md are rendered, too. The words are in
benchmarks/pages/templates.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.options import run
from benchmarks.pages import results, weights
from benchmarks.pages.curves import draw_curves
from benchmarks.pages.doubts import doubts_section
from benchmarks.pages.few_patients import (
    curve_name,
    draw_curve,
    few_patients,
    new_scanner,
    one_patient,
    one_shot,
    protocols,
)
from benchmarks.pages.field import field_section
from benchmarks.pages.markdown import rendered
from benchmarks.pages.objectives import objectives
from benchmarks.pages.odd_teeth import odd_teeth
from benchmarks.pages.reliability import reliability_page
from benchmarks.pages.review import active_learning, review_times, reviewer
from benchmarks.pages.speed import speed_page
from benchmarks.pages.statistics import Row
from benchmarks.pages.summary import model_card, results_page, training_minutes, unseen_facts, weights_table
from benchmarks.pages.what_did_not_help import what_did_not_help
from benchmarks.paths import DOCS, IMAGES, RESULTS, ROOT
from benchmarks.studies.ablation import RESULT as ABLATION
from benchmarks.studies.active_learning import RESULT as ACTIVE
from benchmarks.studies.few_patients import RESULT as FEW
from benchmarks.studies.label_efficiency import RESULT as STUDY
from benchmarks.studies.new_scanner import RESULT as NEW_SCANNER
from benchmarks.studies.objectives import RESULT as OBJECTIVES
from benchmarks.studies.odd_teeth import RESULT as ODD_TEETH
from benchmarks.studies.rows import read_rows
from toothgraph.system.files import write_text

README = ROOT / "README.md"
PAGES = {
    "weights": "the weights in the package",
    "few_patients": "few labelled patients",
    "label_efficiency": "shares of the labels",
    "missing_teeth": "missing teeth",
    "recipe": "the recipe",
    "whole_path": "the whole path on real scans",
    "constants": "constants of prediction",
    "labels": "what labels tell of teeth",
    "synthetic": "without any real scan",
    "review": "correcting labels",
    "doubts": "warnings to review",
    "field": "models, shells and parts of arches",
    "odd_teeth": "odd teeth, simulated in training",
}
READ = (
    "default_weights",
    "unseen",
    "peers",
    "real_scans",
    "missing_teeth",
    "prediction_steps",
    "synthetic_weights",
)  # the result files for docs/results.md
FIGURES = ("<!-- rendered by benchmarks.pages.render -->", "<!-- end of what is rendered -->")


def results_pages() -> dict[str, str]:
    """The pages in docs/results, by name. They have the long tables to which docs/results.md links."""
    study, ablations, package = read_rows(STUDY), read_rows(ABLATION), read_result("default_weights")
    few = read_rows(FEW)
    sections = {
        "weights": [
            weights.default_weights(package),
            weights.prediction_steps(read_result("prediction_steps"), package["sets"]["odd-scans, as stored"]),
        ],
        "constants": [weights.rules_sweep(read_result("rules_sweep"))],
        "few_patients": [
            few_patients(few),
            new_scanner(read_rows(NEW_SCANNER)),
            one_shot(read_result("one_shot")),
            objectives(read_rows(OBJECTIVES), protocols(few)["short"], read_result("one_shot")["rows"]),
        ],
        "label_efficiency": [results.label_efficiency(study)],
        "missing_teeth": [
            weights.missing_teeth(read_result("missing_teeth")),
            weights.lone_teeth(read_result("lone_teeth")),
        ],
        "recipe": [results.ablation(ablations), what_did_not_help(study, ablations)],
        "whole_path": [results.real_scans(read_result("real_scans"))],
        "labels": [results.tooth_cuts(read_result("tooth_cuts")), results.tooth_sizes(read_result("tooth_sizes"))],
        "review": [
            reviewer(read_result("reviewer")),
            active_learning(read_rows(ACTIVE)),
            review_times(read_result("review_times")),
        ],
        "synthetic": [weights.synthetic_weights(read_result("synthetic_weights"))],
        "doubts": [doubts_section(read_result("doubts"))],
        "field": [field_section(read_result("field"))],
        "odd_teeth": [odd_teeth(read_rows(ODD_TEETH))],
    }
    return {name: rendered("results_page", title=PAGES[name], sections=own) for name, own in sections.items()}


def readme_figures(read: dict[str, Any], study: list[Row], few: list[Row]) -> str:
    """The part of README.md on results: the weights, one labelled patient, and the time of a run of the whole path."""
    run, package = read["real_scans"], read["default_weights"]
    return rendered(
        "readme_section",
        scores=weights_table(read["unseen"], package),
        unseen=unseen_facts(read["unseen"], package),
        one=one_patient(few),
        minutes=training_minutes(study),
        threads=run["facts"]["hardware"]["threads"],
        train_scans=run["finetune"]["train_scans"],
        faces=f"{max(row['faces'] for row in run['per_scan']):,}",
    )


def with_figures(page: str, *figures: str) -> str:
    """A page with its rendered parts replaced by new ones, in their order."""
    begin, end = FIGURES
    before, *parts = page.split(begin)
    afters = [part.split(end)[1] for part in parts]
    return before + "".join(f"{begin}\n\n{own}\n\n{end}{after}" for own, after in zip(figures, afters, strict=True))


def layers_figure(content: dict[str, Any]) -> str:
    """The sentence of README.md on the layers: one EdgeConv compared with that of torch_geometric, in training."""
    sizes = {"N": 15985, "k": 20, "channels": 64, "pass": "forward + backward"}
    case = next(case for section in content["sections"] for case in section["cases"] if case["sizes"] == sizes)
    return rendered(
        "readme_layers",
        ratio=case["ways"]["PyG EdgeConv"]["ratio"],
        sizes=sizes,
        threads=content["facts"]["hardware"]["threads"],
    )


def measures_figures(content: dict[str, Any]) -> str:
    """The part of docs/measures.md on how exact the measures are."""
    renamed = {"known_widths": "known", "by_resolution": "resolution"}
    return rendered("measures_section", **{renamed.get(name, name): value for name, value in content.items()})


def read_result(name: str) -> dict[str, Any]:
    """The content of a result file."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def pages() -> dict[Path, str]:
    """The content of all files that are rendered from the results, by path."""
    study, few = read_rows(STUDY), read_rows(FEW)
    made = {
        RESULTS.parent / "README.md": speed_page(RESULTS),
        DOCS / "results.md": results_page({name: read_result(name) for name in READ}, study, few, read_rows(ABLATION)),
        **{DOCS / "results" / f"{name}.md": page for name, page in results_pages().items()},
        DOCS / "model_card.md": model_card(read_result("default_weights"), read_result("unseen")),
        DOCS / "reliability.md": reliability_page(read_result("fuzz"), read_result("many_scans")),
    }
    parts = {
        README: (
            layers_figure(read_result("edge_conv")),
            readme_figures({name: read_result(name) for name in READ}, study, few),
        ),
        DOCS / "measures.md": (measures_figures(read_result("arch_measures")),),
    }
    return {
        **{file: with_figures(file.read_text(encoding="utf-8"), *own) for file, own in parts.items()},
        **{file: f"{page}\n" for file, page in made.items()},
    }


def main(argv: list[str] | None = None) -> None:
    """Write the pages and the curves."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(argv)
    draw_curves(read_rows(STUDY))
    for protocol, rows in protocols(read_rows(FEW)).items():
        draw_curve(rows, [IMAGES / f"{curve_name(protocol)}.{ending}" for ending in ("png", "svg")])
    for file, page in pages().items():
        write_text(file, page)
        print(file)


if __name__ == "__main__":
    run(main)
