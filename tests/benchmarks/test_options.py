"""Every script can be tried in a minute, and says in a line what its user has to mend."""

from __future__ import annotations

import importlib
import json
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.options import parse, run
from benchmarks.pages import study_text
from benchmarks.paths import ROOT
from benchmarks.quick_data import write_arches
from benchmarks.robustness import many_scans
from benchmarks.studies import datasets, label_efficiency, rows
from toothgraph.config import read_toml
from toothgraph.data.split import load_split
from toothgraph.errors import ConfigError, DataError, LabelError
from toothgraph.training.run_state import Stopped

SCRIPTS = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "benchmarks").rglob("*.py")
    if "__main__" in file.read_text(encoding="utf-8") and file.parent.name != "pages"
)
OF_SPEED = "benchmarks.speed."  # whose quick runs test_speed.py looks at


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_takes_quick(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = importlib.import_module(script).main
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and "--quick" in text and "--out" in text and "--threads" in text
    with pytest.raises(SystemExit) as stop:
        main(["--quick"])  # figures of a tiny run never replace real ones
    assert stop.value.code == 2 and "--out" in capsys.readouterr().err


def test_a_quick_try_has_runs_of_its_own(tmp_path: Path) -> None:
    """A real run with the same RUNS has other options, and could not go on with what a try began."""
    runs, out = tmp_path / "runs", str(tmp_path / "rows.jsonl")
    parser = datasets.data_arguments("words")
    datasets.runs_argument(parser)
    given = [str(tmp_path), str(runs), "--out", out]
    assert parse(parser, given).runs == runs and parse(parser, [*given, "--quick"]).runs == runs / "quick"
    studies = [rows.start(rows.arguments("words"), words, Path(out)) for words in (given, [*given, "--quick"])]
    assert [options.runs for options in studies] == [runs, runs / "quick"]


def test_results_that_could_not_be_written_are_told_before_the_work(tmp_path: Path) -> None:
    given = [str(tmp_path), str(tmp_path / "runs"), "--out"]
    parser = datasets.data_arguments("words")
    datasets.runs_argument(parser)
    (tmp_path / "plain").touch()
    for begin in (
        partial(parse, parser),
        lambda words: rows.start(rows.arguments("words"), words, tmp_path / "result"),
    ):
        begin([*given, str(tmp_path / "out")])
        assert not (tmp_path / "out").exists()  # nothing is left by the trial
        with pytest.raises(ConfigError, match="expected a file for the results, found a folder"):
            begin([*given, str(tmp_path)])
        with pytest.raises(OSError, match="plain"):
            begin([*given, str(tmp_path / "plain" / "out")])
    (tmp_path / "kept").write_text("before")
    parse(parser, [*given, str(tmp_path / "kept")])
    assert (tmp_path / "kept").read_text() == "before"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("studies.ship_weights", "toothgraph/weights/default.safetensors, which is then replaced"),
        ("studies.package_crowns", "toothgraph/weights/default.safetensors, which is then replaced"),
        ("studies.wrong_numbers", "docs/images/missing_teeth-wrong.png if not given"),
        ("studies.label_efficiency", "a file in RUNS, or for a published set"),
        ("speed.threads", "without effect: each setting has its own"),
        ("speed.beside", "of each process; 1 if not given"),
    ],
)
def test_help_says_what_the_script_does(script: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"benchmarks.{script}").main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert words.replace(" ", "") in said.replace(" ", "")  # long paths are broken


@pytest.mark.slow
@pytest.mark.parametrize("script", [name for name in SCRIPTS if not name.startswith(OF_SPEED)])
def test_quick_needs_no_data(script: str, tmp_path: Path) -> None:
    out = tmp_path / "result"
    command = [sys.executable, "-W", "ignore", "-m", script, "--quick", "--threads", "1", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert out.exists() or script == "benchmarks.studies.cross_validation"  # which makes nets for other scripts


def test_a_folder_with_other_files_is_not_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`many_scans` deletes FOLDER/tree; only where it has made FOLDER."""
    own = tmp_path / "tree" / "work.txt"
    own.parent.mkdir()
    own.touch()
    monkeypatch.setattr(many_scans, "PARTS", {"prepare": lambda options: {}})
    given = ["--parts", "prepare", "--out", str(tmp_path / "out" / "result.json")]
    with pytest.raises(ConfigError, match="expected a new or empty folder, or one of an earlier run, found"):
        many_scans.main([str(tmp_path), *given])
    assert own.exists()
    for _ in range(2):  # the second run finds what the first one made
        many_scans.main([str(tmp_path / "new"), *given])
        (tmp_path / "new" / "tree").mkdir(exist_ok=True)


def test_the_paths_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for script, words in (
        ("studies.default_weights", "required: data"),
        ("studies.few_patients", "required: data, runs"),
        ("studies.ship_weights", "expected RUN"),
        ("studies.ablation", "expected SCANS"),
        ("robustness.many_scans", "expected FOLDER"),
        ("speed.beside", "expected OTHER"),
        ("speed.archive", "expected SCANS"),
        ("speed.cost", "expected SCANS"),
    ):
        with pytest.raises(SystemExit) as stop:
            importlib.import_module(f"benchmarks.{script}").main([])
        assert stop.value.code == 2 and words in capsys.readouterr().err


def test_what_the_user_can_mend_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise DataError("scans/a.stl:\n  is no scan")

    with pytest.raises(SystemExit, match=r"^Error: scans/a\.stl: is no scan$"):
        run(refused)
    with pytest.raises(SystemExit, match=r"^Error: .*missing\.json: No such file or directory$"):
        run(lambda: print((tmp_path / "missing.json").read_text()))
    monkeypatch.setattr(sys, "argv", ["label_efficiency", str(tmp_path / "none"), str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(label_efficiency.__file__, run_name="__main__")
    assert str(stop.value) == f"Error: {tmp_path / 'none'}: no such file or folder; check the path"


@pytest.mark.parametrize(
    ("stop", "goes_on", "words"),
    [
        (KeyboardInterrupt(), False, "stopped"),
        (KeyboardInterrupt(), True, "stopped; the same command goes on where it was"),
        (Stopped("stopped at step 2 of 3"), False, "stopped at step 2 of 3"),
        (Stopped("stopped at step 2 of 3"), True, "stopped at step 2 of 3; the same command goes on where it was"),
    ],
)
def test_what_a_stopped_script_says(stop: BaseException, goes_on: bool, words: str) -> None:
    def stopped() -> None:
        raise stop

    with pytest.raises(SystemExit) as end:
        run(stopped, goes_on)
    assert end.value.code == words


def test_a_script_goes_on_where_it_resumes() -> None:
    """Those that keep rows and resume trainings, and no others, say so."""
    for script in SCRIPTS:
        text = (ROOT / f"{script.replace('.', '/')}.py").read_text(encoding="utf-8")
        resumes = "resume=True" in text or '"--resume"' in text
        assert ("run(main, goes_on=True)" in text) == resumes, script


@pytest.mark.usefixtures("one_look")
def test_label_efficiency_of_own_scans(arches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, split = tmp_path / "runs", tmp_path / "split.json"
    files = sorted(arches.glob("*.stl"))
    split.write_text(json.dumps({"train": ["0000", "0001"], "val": ["0002"]}))
    given = [*map(str, files), str(runs), "--split", str(split), "--fractions", "10", "50", "100", "--steps", "1"]
    given += ["--pretrain-steps", "1", "--faces", "300", "--seeds", "0"]
    label_efficiency.main(given)
    said = capsys.readouterr().out
    assert "2 patients train, 1 validate: 0002" in said
    assert "left out: 50 %, the same patients as a smaller share" in said
    assert "4 of 4 runs to do" in said and "4 of 4: pre-trained, 100 %, seed 0: miou 0." in said
    assert "labels  patients  from scratch" in said and "10 %    1 " in said and "100 %   2 " in said
    assert "toothgraph finetune" in said and f"--split {split}" in said and "--init default" in said
    assert " --steps 1 --faces 300 --out " in said and "--palette" not in said
    assert "What pre-training gains, by the share of the labels: 10 % " in said
    rows = [json.loads(line) for line in (runs / "label_efficiency.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and {scan["scan_id"][:4] for row in rows for scan in row["per_scan"]} == {"0002"}
    assert (runs / "label_efficiency.png").stat().st_size > 5000
    label_efficiency.main([*given, "--inits", "scratch"])
    assert "0 of 2 runs to do" in capsys.readouterr().out


def test_the_next_command_of_a_published_set_is_whole(tmp_path: Path) -> None:
    """It names the scans, what their colours mean and who validates, and options other than the preset's."""
    data, runs = write_arches(tmp_path / "data"), tmp_path / "runs"
    dataset, given = (
        datasets.iosseg(data),
        ["--dataset", "3d-iosseg", str(data), str(runs), "--out", str(tmp_path / "out")],
    )
    options = rows.start(label_efficiency.study_arguments(), given, tmp_path)
    known = {"fraction": 100, "seed": 0, "lr": 3e-3, "steps": 2400, "faces": 500, "backbone_rate": 0.5}
    gained = [{**known, "init": init, "scores": {"miou": miou}, "per_scan": [{"scan_id": "a_upper", "miou": miou}]}
              for init, miou in (("scratch", 0.5), ("pretrained", 0.6))]  # fmt: skip
    _, said, *_ = study_text.next_command(gained, dataset, options)
    assert said.strip() == (
        f"toothgraph finetune {data}/3d-iosseg --split {runs}/split.json --palette {data}/palettes.json:3d-iosseg "
        f"--init {runs}/pre-0 --faces 500 --config {runs}/final.toml --out {runs}/final"
    )
    assert load_split(runs / "split.json") == dataset.split
    assert read_toml(runs / "final.toml") == {"backbone_rate": 0.5}
    gained[0], gained[1] = ({**row, "init": other["init"]} for row, other in zip(gained, gained[::-1], strict=True))
    _, said, *_ = study_text.next_command(gained, dataset, options)
    assert "--init" not in said and "--config" not in said and "--faces 500" in said


def test_own_scans_that_cannot_be_studied(arches: Path, tmp_path: Path) -> None:
    from benchmarks.studies.datasets import own_scans

    bare = tmp_path / "bare"
    bare.mkdir()
    for file in arches.glob("*.stl"):
        (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(LabelError, match=r"none of 6 scans can be used: .*has no labels; expected a"):
        own_scans([bare])
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["0000"], "val": ["0002"]}))
    with pytest.raises(LabelError, match=r"validates on can be used: .*0002_\w+\.stl: has no labels; expected a"):
        own_scans([bare], split)
    split.write_text(json.dumps({"train": ["someone"], "val": ["0002"]}))
    with pytest.raises(DataError, match=r"no scan of a patient that .*split\.json names for training.* 0000, 0001, 0"):
        own_scans([arches], split)
    chosen = own_scans([arches]).split
    assert len(chosen.train) == 2 and len(chosen.val) == 1


@pytest.mark.usefixtures("one_look")
def test_a_study_leaves_out_what_cannot_be_used(
    arches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged scan and labels of the wrong length; patients are folders, all files of one name."""
    for file in arches.iterdir():
        folder = tmp_path / "scans" / file.stem.split("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{file.stem.split('_')[1]}{file.suffix}").write_bytes(file.read_bytes())
    (tmp_path / "scans" / "0000" / "upper.txt").write_text("0 11")
    (tmp_path / "scans" / "0002" / "lower.stl").write_bytes(b"no mesh")
    split, out = tmp_path / "split.json", tmp_path / "rows.jsonl"
    split.write_text(json.dumps({"train": ["0000", "0001"], "val": ["0002"]}))
    given = [str(tmp_path / "scans"), str(tmp_path / "runs"), "--split", str(split), "--quick", "--out", str(out)]
    label_efficiency.main(given)
    said = capsys.readouterr().out
    assert said.count("0002/lower.stl: ") == 1 and said.count("0000/upper.txt: ") == 1 and said.count("left out: ") == 2
    assert "2 of 2: pre-trained, 10 %" in said
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [[scan["scan_id"] for scan in row["per_scan"]] for row in rows] == [["0002_upper"]] * 2
