"""The study of few labelled patients: its draws, its comparisons, its page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pages.few_patients import (
    cells,
    draw_curve,
    few_patients,
    gain,
    gains_table,
    joined,
    new_scanner,
    one_patient,
    one_shot,
    protocols,
    single_jaws,
    spread,
    tricks,
    values_of,
)
from benchmarks.studies.few_patients import (
    ARMS,
    FIRST,
    PROTOCOLS,
    RESULT,
    TRICKS,
    Cell,
    _first_student,
    _take_over,
    config_of,
    drawn,
)
from benchmarks.studies.rows import read_rows
from toothgraph.system import provenance
from toothgraph.training.config import FINETUNE_PRESETS

PATIENTS = (*(f"{number:03d}" for number in range(48)), "075")


def row(arm: str, patients: int, draw: int, mious: tuple[float, float]) -> dict[str, Any]:
    per_scan = [
        {"scan_id": f"{name}_upper", "miou": miou, "miou_matched": miou} for name, miou in zip("ab", mious, strict=True)
    ]
    scores = {"miou": sum(mious) / 2, "miou_matched": sum(mious) / 2, "numbers_right": 1.0}
    return {
        "arm": arm, "patients": patients, "draw": draw, "seed": 0, "protocol": "short", "jaws": "both",
        "labelled": ["017"] * patients, "scores": scores, "per_scan": per_scan, "minutes": 3.4,
        "facts": provenance.facts(), "scored": "x",
    }  # fmt: skip


ROWS = [
    row("scratch", 1, 0, (0.5, 0.7)), row("scratch", 1, 1, (0.3, 0.5)), row("scratch", 2, 0, (0.8, 0.8)),
    row("pretrained", 1, 0, (0.7, 0.9)), row("pretrained", 1, 1, (0.6, 0.6)),
    row("self-trained", 1, 0, (0.9, 0.9)), row("self-trained", 1, 2, (0.1, 0.1)),
]  # fmt: skip


def test_draws_are_nested_and_differ() -> None:
    for draw in range(6):
        five = drawn(PATIENTS, draw, 5)
        assert drawn(PATIENTS, draw, 3) == five[:3] and len(set(five)) == 5
        assert draw >= len(FIRST) or five[0] == FIRST[draw]
    assert len({drawn(PATIENTS, draw, 5) for draw in range(6)}) == 6


def test_runs_of_two_arms_have_folders_of_their_own() -> None:
    cell = Cell("self-trained", 1, 2, 0, "short")
    assert cell.folder(Path("runs")).name == "short-self-trained-1-2-0"
    assert cell.folder(Path("runs"), "pretrained").name == "short-pretrained-1-2-0"
    assert cell._replace(jaws="lower").folder(Path("runs")).name == "short-self-trained-1-2-0-lower"


def test_a_run_that_another_arm_has_is_not_trained_again(tmp_path: Path) -> None:
    teacher, out = tmp_path / "short-self-trained-1-0-0" / "teacher-1", tmp_path / "short-pretrained-1-0-0"
    _take_over(teacher, out)
    assert not out.exists()
    teacher.mkdir(parents=True)
    (teacher / "model.safetensors").write_text("first")
    _take_over(teacher, out)
    assert (out / "model.safetensors").read_text() == "first"
    (teacher / "model.safetensors").write_text("later")
    _take_over(teacher, out)
    assert (out / "model.safetensors").read_text() == "first"


def test_the_student_of_one_round_is_the_first_one_of_two(tmp_path: Path) -> None:
    run, out = tmp_path / "short-self-trained-1-0-0", tmp_path / "short-one-round-1-0-0"
    for part in ("teacher-1", "found-1", "teacher-2", "found-2"):
        (run / part).mkdir(parents=True)
        (run / part / "state.json").write_text(part)
    _first_student(run, out)
    assert not out.exists()  # that student has not learned all yet
    (run / "teacher-2" / "model.safetensors").write_text("student")
    _first_student(run, out)
    there = {file.relative_to(out).as_posix(): file.read_text() for file in out.rglob("*") if file.is_file()}
    assert there == {"model.safetensors": "student", "state.json": "teacher-2", "teacher-1/state.json": "teacher-1",
                     "found-1/state.json": "found-1"}  # fmt: skip


def test_a_gain_counts_the_runs_with_the_same_labels() -> None:
    scratch, pretrained = ROWS[:2], ROWS[3:5]
    found = gain(pretrained, scratch)
    assert found is not None
    mean, low, high = found
    assert mean == pytest.approx((0.2 + 0.2 + 0.3 + 0.1) / 4) and low < mean < high
    assert gain(ROWS[5:], ROWS[3:5]) == pytest.approx((0.1, 0.0, 0.2))  # draw 2 has no partner
    assert gain(ROWS[6:], ROWS[3:5]) is None


def test_seeds_of_a_draw_count_as_one_draw() -> None:
    again = [{**row("scratch", 1, 0, (0.7, 0.9)), "seed": 1}, {**row("pretrained", 1, 0, (0.7, 0.9)), "seed": 1}]
    rows = [*ROWS, *again]
    assert "| 1 | 0.550 (worst 0.400) | 0.700 (worst 0.600) |" in gains_table(rows)  # 0.6 and 0.8, then 0.4
    found = gain(cells(rows)["pretrained", 1], cells(rows)["scratch", 1])
    assert found is not None and found[0] == pytest.approx((0.1 + 0.2) / 2)  # draw 0: 0.2 and nothing
    assert spread(rows) == []  # of no two draws with several seeds
    more = [{**row("scratch", 1, 1, (0.5, 0.5)), "seed": 1}]
    (one,) = spread([*rows, *more])
    assert one == {"title": "from scratch", "patients": 2, "seeds": pytest.approx(0.15), "draws": pytest.approx(0.25)}


def test_each_run_has_one_row() -> None:
    rows = read_rows(RESULT)
    assert len({tuple(row[key] for key in Cell._fields) for row in rows}) == len(rows)


def test_the_tables_say_mean_worst_and_gains() -> None:
    page = gains_table(ROWS)
    assert "| 1 | 0.500 (worst 0.400) | 0.700 (worst 0.600) | 0.500 (worst 0.100) | +20.0 (" in page
    assert "| +10.0 (one draw) | 2, 2, 2 |" in page
    assert "| 2 | 0.800 | – | – | – | – | 1, 0, 0 |" in page


def test_the_sentence_compares_the_draws_that_all_arms_have() -> None:
    said = one_patient(ROWS)
    assert said["draws"] == 1 and [arm["mean"] for arm in said["arms"]] == pytest.approx([0.6, 0.8, 0.9])
    page = few_patients(ROWS)
    words = " ".join(page.split())
    assert "reaches a `miou` of 0.600 from scratch, 0.800 pre-trained and 0.900 pre-trained and self-trained;" in words
    assert "with the worst of 1 choice of this patient, it reaches 0.600, 0.800 and 0.900." in words


def test_the_sentence_is_of_the_recipe_with_most_draws_and_never_of_the_paper() -> None:
    long = [{**one, "protocol": "long"} for one in ROWS if one["arm"] == "pretrained"]
    paper = [{**row(arm, 1, draw, (0.1, 0.1)), "protocol": "paper"} for arm in ARMS for draw in range(4)]
    assert one_patient([*long, *ROWS, *paper])["protocol"] == "short"  # no draw has all arms by the long recipe
    long = [{**one, "protocol": "long"} for one in ROWS]
    assert one_patient([*ROWS, *long])["protocol"] == "long"
    page = few_patients([*ROWS, *long, *paper])
    assert page.index("### Long recipe") < page.index("### Short recipe") < page.index("### The net of He et al.")


def test_single_jaws_have_a_table_of_their_own_by_the_jaw_scored() -> None:
    def of_jaws(jaws: str, lower: float, upper: float) -> dict[str, Any]:
        found = row("self-trained", 1, 0, (lower, upper))
        for scan, jaw in zip(found["per_scan"], ("lower", "upper"), strict=True):
            scan["scan_id"] = f"a_{jaw}"
        return {**found, "jaws": jaws}

    rows = [of_jaws("lower", 0.8, 0.4), of_jaws("both", 0.9, 0.7)]
    (study,) = single_jaws(rows)
    page = study["gains"]
    assert "| 017, lower jaw | pre-trained and self-trained | 0 | 0.600 |" in study["runs"]
    assert "| 017, lower jaw |" in few_patients(rows)
    assert "| lower | lower | – | – | 0.800 | +10.0 (one draw) | 0, 0, 1 |" in page
    assert "| lower | upper | – | – | 0.400 | +30.0 (one draw) | 0, 0, 1 |" in page and "\n| upper |" not in page
    assert not single_jaws(ROWS)
    assert protocols([*ROWS, *rows])["short"] == [*ROWS, rows[1]]  # one jaw is no labelled patient


def test_a_protocol_says_net_faces_and_steps() -> None:
    options = argparse.Namespace(quick=False)
    configs = {name: config_of(Cell("scratch", 1, 0, 0, name), options) for name in PROTOCOLS}
    assert {name: (one.net.kind, one.net.graph.faces, one.steps, one.epochs) for name, one in configs.items()} == {
        "long": ("geometry", 6000, 2400, None), "short": ("geometry", 4000, 600, None),
        "paper": ("paper", 1000, 300, None),
    }  # fmt: skip
    assert configs["paper"].optimizer == "sgd" and configs["paper"].lr == FINETUNE_PRESETS["paper"].lr


def test_each_trick_is_a_recipe_of_its_own_from_scratch() -> None:
    options = argparse.Namespace(quick=False)
    cells = [Cell(arm, 1, 0, 0, "short") for arm in ("scratch", *TRICKS)]
    assert all(cell.from_scratch for cell in cells) and not Cell("pretrained", 1, 0, 0, "short").from_scratch
    plain, *others = (config_of(cell, options) for cell in cells)
    assert len({repr(config) for config in (plain, *others)}) == 1 + len(TRICKS)
    changed = [{key for key, value in vars(plain).items() if getattr(one, key) != value} for one in others]
    assert changed == [{"lr"}, {"lr"}, {"steps"}, {"augmentation", "warps"}, {"average"}]
    plain, moved = (config_of(Cell(f"pretrained{kind}", 1, 0, 0, "short"), options) for kind in ("", "-moved"))
    assert {key for key, value in vars(plain).items() if getattr(moved, key) != value} == {"augmentation", "warps"}


def test_the_best_trick_is_chosen_on_some_draws_and_judged_on_the_others() -> None:
    def of(arm: str, *mious: float) -> list[dict[str, Any]]:
        return [row(arm, 1, draw, (miou, miou)) for draw, miou in enumerate(mious)]

    rows = [*of("scratch", 0.5, 0.5, 0.5), *of("pretrained", 0.9, 0.9, 0.8), *of("scratch-slow", 0.7, 0.7, 0.4),
            *of("scratch-fast", 0.6, 0.6)]  # fmt: skip
    found = tricks(rows)
    assert found["best"] == "from scratch, half the rate" and not found["plain"]
    assert found["adds"] == "+40.0 (one draw)"  # of the third draw alone
    assert "| from scratch, twice the rate | 0.600 (worst 0.600) | – | +10.0 (+10.0 to +10.0) |" in found["table"]
    assert "the best recipe is from scratch, half the rate; in the other draws" in " ".join(few_patients(rows).split())
    assert one_patient([*rows, *of("scratch-moved", 0.8, 0.6, 0.4)])["moved"].startswith("+10.0 (")
    assert tricks(of("scratch", 0.5)) == {}


def test_lines_join_only_what_was_run_with_neighbouring_numbers_of_patients() -> None:
    assert joined({1: {0: 0.5, 1: 0.6}, 3: {0: 0.9}}) == []  # nothing was run with two
    one_draw = joined({1: {0: 0.5, 1: 0.6}, 2: {0: 0.8}})
    assert one_draw == [((1, 2), (0.5, 0.8), 1.0)]  # and no mean: that of two would be of one draw only
    *thin, thick = joined({2: {0: 0.5, 1: 0.7}, 3: {0: 0.8, 1: 1.0}})
    assert thin == [((2, 3), (0.5, 0.8), 1.0), ((2, 3), (0.7, 1.0), 1.0)]
    assert thick[0] == (2, 3) and thick[1] == pytest.approx((0.6, 0.9)) and thick[2] > 1
    everyone = [*ROWS, row("scratch", 48, 0, (0.9, 0.9))]
    assert values_of(everyone, "scratch", "miou") == {1: pytest.approx({0: 0.6, 1: 0.4}), 2: pytest.approx({0: 0.8})}


def test_the_curve_shows_all_patients_as_a_band(tmp_path: Path) -> None:
    rows = [*ROWS, row("scratch", 48, 0, (0.9, 0.9)), row("pretrained", 48, 0, (0.95, 0.95))]
    draw_curve(rows, [tmp_path / "curve.svg"])
    with_band = (tmp_path / "curve.svg").read_text()
    draw_curve(ROWS, [tmp_path / "curve.svg"])
    without = (tmp_path / "curve.svg").read_text()
    assert "all 48 patients" in with_band and "all " not in without
    assert with_band.count("pre-trained and self-trained") == 1


def test_the_section_on_a_new_scanner_scores_each_scan_by_the_net_that_did_not_see_it() -> None:
    def found(*mious: float) -> dict[str, Any]:
        per_scan = [{"scan_id": str(number), "miou": miou, "miou_matched": 1.0} for number, miou in enumerate(mious)]
        return {"miou": sum(mious) / len(mious), "miou_matched": 1.0, "per_scan": per_scan}

    facts = {"facts": provenance.facts()}
    rows = [
        {"arm": "as they are", "half": None, "lr": 0.0, "steps": 0, "sets": {"teeth3ds": found(0.5, 0.7)}, **facts},
        {"arm": "alone", "half": 0, "lr": 1e-3, "steps": 300, "sets": {"teeth3ds": found(0.9)}, **facts},
        {"arm": "alone", "half": 1, "lr": 1e-3, "steps": 300, "sets": {"teeth3ds": found(0.6)}, **facts},
    ]
    page = new_scanner(rows)
    assert "| the weights as they are | – | 0.600 (1.000) |" in page
    assert "| unlabelled scans alone, 300 steps | 0.001 | 0.750 (1.000) |" in page
    assert "from 0.600 to 0.750" in " ".join(page.split()) and "no gain" not in page


def test_the_section_on_what_an_embedding_knows() -> None:
    rows = [
        {"pretrained": kind, "patient": who, "miou": miou, "accuracy": 0.5}
        for kind, who, miou in ((False, "a", 0.1), (False, "b", 0.2), (True, "a", 0.3), (True, "b", 0.5))
    ]
    page = one_shot({"facts": provenance.facts(), "rows": rows})
    words = " ".join(page.split())
    assert "| pre-trained | 0.300 | 0.500 | 0.400 | 0.500 |" in words
    assert "`miou` is 0.400 with a pre-trained backbone and 0.150 with an untrained one." in words
