"""The pages are up to date, and what they say follows from the rows of the studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pages import ablation_tables, curves, render, statistics, study_tables, summary, weights
from benchmarks.pages.markdown import TEMPLATES, blocks_of, facts_of, wrapped
from benchmarks.pages.what_did_not_help import what_did_not_help
from benchmarks.paths import DOCS
from benchmarks.studies.readings import reasons
from benchmarks.studies.rows import read_rows
from toothgraph.errors import DataError


def said(macro: str, *data: Any) -> str:
    """A sentence of the pages, in one line."""
    return " ".join(getattr(TEMPLATES.get_template("macros.md.jinja").module, macro)(*data).split())


def answer(unseen: dict[str, Any], package: dict[str, Any]) -> str:
    return said("unseen_answer", summary.unseen_facts(unseen, package), "scores.md")


def test_pages_are_up_to_date() -> None:
    for file, page in render.pages().items():
        assert file.read_text(encoding="utf-8") == page, f"{file} is out of date: python -m benchmarks.pages.render"


def test_the_first_screen_of_the_readme_has_a_figure_of_the_layers() -> None:
    case = {"sizes": {"N": 15985, "k": 20, "channels": 64, "pass": "forward + backward"},
            "ways": {"PyG EdgeConv": {"ratio": {"median": 7.4, "min": 6.1, "max": 9.0}}}}  # fmt: skip
    other = {"sizes": {**case["sizes"], "k": 12}, "ways": {"PyG EdgeConv": {"ratio": {"median": 3.0}}}}
    content = {"sections": [{"cases": [other, case]}], "facts": {"hardware": {"threads": 1}}}
    text = " ".join(render.layers_figure(content).split())
    figure = "was 7 times as fast in training (6 to 9 times in single rounds; 15,985 nodes with 20 neighbours"
    assert figure in text and "1 thread of a CPU" in text
    begin, end = render.FIGURES
    page = render.with_figures(f"a{begin}old{end}b{begin}{end}c", "one", "two")
    assert page == f"a{begin}\n\none\n\n{end}b{begin}\n\ntwo\n\n{end}c"
    with pytest.raises(ValueError, match="zip"):
        render.with_figures(f"a{begin}old{end}b", "one", "two")


def test_paragraphs_and_lists_are_wrapped() -> None:
    long = "word " * 30
    assert max(map(len, wrapped(long).splitlines())) <= 120 and wrapped(long).split() == long.split()
    assert wrapped(f"- {long}\n- two\n  lines").splitlines()[1:] == [f"  {'word ' * 7}".rstrip(), "- two lines"]


def study_rows() -> list[dict]:
    """Scratch at two rates and pre-trained at one, two seeds, two patients of one scan each."""
    rows = []
    for init, lr, base in (("scratch", 1e-3, 0.5), ("scratch", 3e-3, 0.6), ("pretrained", 3e-3, 0.7)):
        for seed in (0, 1):
            values = {"P_upper": base + 0.02 * seed, "Q_upper": base + 0.1}
            rows.append({
                "protocol": "CPU", "dataset": "d", "recipe": "r", "init": init, "fraction": 10, "seed": seed,
                "steps": 5, "lr": lr, "backbone_rate": 1.0, "faces": 300, "patients": 5,
                "curve": {"1": 0.2, "4": 0.4, "5": base},
                "scores": dict.fromkeys(("miou", "miou_matched"), np.mean(list(values.values()))),
                "per_scan": [{"scan_id": name, "miou": value, "miou_matched": value} for name, value in values.items()],
            })  # fmt: skip
    return rows


def test_code_keeps_its_empty_lines() -> None:
    code = "```toml\n[finetune]\nlr = 1\n\n[pretrain]\nlr = 2\n```"
    assert blocks_of(f"before\n\n\n{code}\n\nbehind\n\n```sh\nx\n```") == ["before", code, "behind", "```sh\nx\n```"]


def test_study_compares_tuned_rates_patient_by_patient() -> None:
    rows = study_rows()
    ((key, own),) = statistics.studies(rows).items()
    assert key == ("CPU", "d", "r", 5, 300) and own == rows
    assert len(statistics.studies([*rows, rows[0] | {"recipe": "s"}])) == 2
    assert statistics.has_pair(rows)
    assert not statistics.has_pair([row | {"fraction": 100} if row["init"] == "scratch" else row for row in rows])
    found = statistics.cells(rows)
    mean, low, high = statistics.paired_interval(found["pretrained", 10], found["scratch", 10])
    # Patient P differs by 0.02 between the seeds, which the draws of either side's seeds show.
    assert mean == pytest.approx(0.1) and low == pytest.approx(0.09) and high == pytest.approx(0.11)
    assert "| 10 % | 5 | 0.655 (0.650 to 0.660) | 0.755 (0.750 to 0.760) | +10.0 (+9.0 to +11.0) | 2, 2 |" in (
        study_tables.study_table(rows)
    )
    assert "| from scratch | 10 % | 0.200 | 0.200 | 0.400 | 0.600 |" in study_tables.flatness_table(rows)
    assert [(row["lr"], row["seed"]) for row in found["scratch", 10]] == [(3e-3, 0), (3e-3, 1)]
    assert "from scratch with 10 % (+20.0)" in said("rising", study_tables.still_rising(rows))
    assert said("rising", study_tables.still_rising(rows, least=0.5)).startswith("None")
    line = "| from scratch | 10 % | 0.001 | 1 | 0.555 (0.550 to 0.560) | 0.555 (0.550 to 0.560) | 2 |  |"
    assert line in study_tables.rates_table(rows) and "0.660) | 2 | yes |" in study_tables.rates_table(rows)
    assert said("better_rates", study_tables.better_rates(rows)) == ""
    faster = rows[0] | {"lr": 0.1, "scores": dict.fromkeys(rows[0]["scores"], 0.9)}  # one seed does not unseat two
    assert said("better_rates", study_tables.better_rates([*rows, faster])).endswith(
        "did better: from scratch with 10 % of the labels, 0.900 at a rate of 0.1 (seeds: 1)."
    )
    assert said("goal", study_tables.verdict(rows)).endswith(" Reached at 10 % (+10.0). Not compared at 20 %.")
    assert "Not reached at 10 % (+10.0)." in said("goal", study_tables.verdict(rows, least=0.2))
    assert said("suffices", study_tables.share_that_suffices(rows)) == ""
    all_labels = [row | {"fraction": 100} for row in rows if row["init"] == "scratch"]
    told = said("suffices", study_tables.share_that_suffices([*rows, *all_labels]))
    assert "labels: pre-trained, 10 %: +10.0 (+9.0 to +11.0) points of `miou`" in told
    assert "; from scratch, 10 %: +0.0 (-1.0 to +1.0) points" in told
    better = [row | {"fraction": 100} for row in rows if row["init"] == "pretrained"]
    better = [row | {"init": "scratch", "lr": 3e-3} for row in better]
    told = said("suffices", study_tables.share_that_suffices([*rows[:4], *better]))
    assert told.endswith("pre-trained, none; from scratch, none.")


def test_the_same_rows_give_the_same_curve(tmp_path: Path) -> None:
    rows, files = study_rows(), [tmp_path / "curve.png", tmp_path / "curve.svg"]
    curves.draw_curve(rows, "title", files)
    before = [file.read_bytes() for file in files]
    curves.draw_curve(rows, "title", files)
    assert before == [file.read_bytes() for file in files] and min(map(len, before)) > 5000


def test_verdict_of_an_ablation() -> None:
    rows = [
        {"variant": name, "seed": 0, "per_scan": [
            {"scan_id": scan, "miou": base + spread * k, "miou_matched": base + spread * k}
            for k, scan in enumerate(("P_upper", "Q_upper"))
        ]}
        for name, base, spread in (("worse", 0.3, 0.0), ("default", 0.5, 0.0), ("same", 0.4, 0.2), ("better", 0.6, 0.0))
    ]  # fmt: skip
    assert list(ablation_tables.by_variant(rows)) == ["default", "better", "same", "worse"]
    assert said("told", ablation_tables.ablation_verdict(rows)) == (
        "Worse: worse. No clear difference from the default: same. Better: better."
    )
    assert said("told", ablation_tables.ablation_verdict(rows[:1])) == ""


def test_interval_covers_what_patients_vary() -> None:
    rows = study_rows()
    for row in rows:
        if row["init"] == "pretrained":
            row["per_scan"][0]["miou"] += 0.1  # 0.2 better for P, 0.1 for Q
        row["per_scan"][0]["miou"] -= 0.02 * row["seed"]  # no seed differs
    found = statistics.cells(rows)
    mean, low, high = statistics.paired_interval(found["pretrained", 10], found["scratch", 10])
    assert mean == pytest.approx(0.15) and low == pytest.approx(0.1) and high == pytest.approx(0.2)
    one = [row for row in rows if row["seed"] == 0]
    assert study_tables.study_table(one).count("+15.0 (one seed)") == 1
    with pytest.raises(DataError, match="different patients cannot be compared: not all rows have Q;"):
        statistics.mean_interval([{**rows[0], "per_scan": rows[0]["per_scan"][:1]}], rows[1:2], "miou")
    page = study_tables.patient_table(rows)
    assert "| P | +20.0 | +10.0 |" in page and "| Q | +10.0 | +10.0 |" in page


def test_summaries_are_of_the_largest_ablation() -> None:
    """Rows of another set have other patients, with which nothing can be compared."""
    study, ablations = read_rows(render.STUDY), read_rows(render.ABLATION)
    page = what_did_not_help(study, ablations)
    others = [
        {**row, "dataset": "teeth3ds", "per_scan": [{**scan, "scan_id": "T1_upper"} for scan in row["per_scan"]]}
        for row in ablations if row["variant"] in ("default", "augmentation: bent by 1 mm")
    ]  # fmt: skip
    assert what_did_not_help(study, [*others, *ablations]) == page


def test_facts_of_several_runs() -> None:
    def facts(day: int, git: str | None, threads: int, gpus: list[str], torch: str) -> dict[str, Any]:
        hardware = {"processor": "p", "cores": 2, "threads": threads, "gpus": gpus}
        return {"facts": {"date": f"2026-11-0{day}", "git": git, "hardware": hardware, "versions": {"torch": torch}}}

    one = facts(1, "abc", 1, [], "2.1")
    assert facts_of([one, one]) == {**one["facts"], "hardware": {**one["facts"]["hardware"], "gpus": ["no GPU"]}}
    found = facts_of([one, facts(2, None, 2, ["H", "H"], "2.2")])
    assert found["git"] == "abc, unknown" and found["versions"] == {"torch": "2.1 or 2.2"}
    assert found["hardware"] == {"processor": "p", "cores": 2, "threads": "1 or 2", "gpus": ["H, H or no GPU"]}
    versions = {"torch-geometric": "1", "lightning": "1", "python": "3"}
    assert "2 cores, 1 or 2 threads used, H, H or no GPU; torch 2.1 or 2.2," in said(
        "facts_line", {**found, "versions": {**versions, **found["versions"]}}
    )


def test_help_renders_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(render, "draw_curves", lambda rows: pytest.fail("rendered"))
    for given in ("--help", "--strange"):
        with pytest.raises(SystemExit):
            render.main([given])
    assert "Render all pages" in capsys.readouterr().out


def test_the_first_rows_are_the_unseen_ones() -> None:
    read = {name: render.read_result(name) for name in render.READ}
    rows = summary.weights_table(read["unseen"], read["default_weights"]).splitlines()[2:]
    kinds = [row.split(" | ")[0].strip("| ") for row in rows]
    assert kinds == sorted(kinds, reverse=True) and set(kinds) == {"unseen", "developed on"}
    assert "| 59 | 0.894 | 0.955 |" in rows[0] and f"| {read['unseen']['revision']} |" in rows[0]
    said = summary.unseen_facts(read["unseen"], read["default_weights"])
    assert (said["scans"], said["contradict"]) == (92, 5)
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) < 180 and page.index("0.894") < page.index("| developed on")


def test_where_a_step_seems_to_harm_the_reason_stands_beside_it() -> None:
    content = {"sets": {"d": {"all steps": {"scores": {"miou": 0.5}}, "a": {"scores": {"miou": 0.6}},
                              "b": {"scores": {"miou": 0.4}}}}}  # fmt: skip
    text = summary.steps_table(content)
    assert "| a | +10.0 ¹ |" in text and "| b | -10.0 |" in text and "| all steps | 0.500 |" in text
    assert "¹ Here a step seems to harm, but the labels are the reason" in (DOCS / "results.md").read_text("utf-8")


def test_sentences_count_what_the_rows_have() -> None:
    scores = {"miou": 0.5, "miou_matched": 0.75}
    steps = {
        "all steps": {"scores": scores},
        "numbers as the net gives them": {"scores": dict.fromkeys(scores, 0.625)},
    }
    scored = {"per_scan": [{}] * 5, "sound": {"scans": 2}}
    found = weights.what_numbering_changes(steps, scored)
    assert found == {"scans": 5, "counted": 3, "miou": -0.125, "miou_matched": 0.125}
    unseen, package = (render.read_result(name) for name in ("unseen", "default_weights"))
    stale = "The weights in the package have not been scored on unseen arches"
    others = f"{stale} yet. Earlier weights, of revision {unseen['revision']} (sha256 {'0' * 16}…), had a [`miou`]"
    other = unseen | {"weights_sha256": "0" * 16}
    assert others in answer(other, package)
    same = unseen | {"weights_sha256": package["sha256"][:16]}
    text = answer(same | {"revision": "0"}, package)
    assert f"{stale} with today's prediction yet. With the prediction of revision 0, they had a [`miou`]" in text
    text = answer(same | {"revision": package["facts"]["git"]}, package)
    assert (
        text.startswith("The weights in the package have a [`miou`](scores.md) of 0.894 on")
        and "15 of 59 scans are below 0.9" in text
    )
    page = " ".join((DOCS / "results" / "missing_teeth.md").read_text(encoding="utf-8").split())
    assert "3 pairs of scans (036_L and 045_L," in page and f"| {reasons()['022_L']} |" in page


def test_a_row_without_a_partner_is_left_out() -> None:
    rows = study_rows()
    alone = [row | {"fraction": 40} for row in rows if row["init"] == "pretrained"]
    assert study_tables.of_compared([*rows, *alone]) == rows
    page = (DOCS / "results" / "label_efficiency.md").read_text(encoding="utf-8")
    assert "Pre-training on scans without labels changes `miou` with 1 labelled patient" in page.split("\n\n")[
        3
    ].replace("\n", " ")
    assert "| 40 % | 19 |" not in page and "Nothing is compared" not in page
