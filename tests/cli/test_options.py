from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.shell_completion import ShellComplete

from toothgraph.cli import COMMANDS, main
from toothgraph.cli.device import choose_device
from toothgraph.cli.evaluate import choose_scans
from toothgraph.cli.evaluate import refuse_overwriting as refuse_output
from toothgraph.cli.jobs import Job
from toothgraph.cli.labelling import warn_of_folder_jaw
from toothgraph.cli.predict import refuse_overwriting, without_labelled, without_outputs
from toothgraph.cli.training_options import split_options
from toothgraph.errors import ConfigError
from toothgraph.inference.options import PredictOptions
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.write import write_labelled
from toothgraph.scan_names import output_names
from toothgraph.segmentation import segment
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, make_config

ROOT = Path(__file__).resolve().parents[2]
RUN = dict.fromkeys(["preset", "split", "palette", "label_system", "unit", "init", "labels"])


def options(tmp_path: Path, text: str, presets=FINETUNE_PRESETS, **given):
    """The configuration and the run's options of a file and a command line."""
    file = tmp_path / "options.toml"
    file.write_text(text)
    own = RUN if presets is FINETUNE_PRESETS else dict.fromkeys(("preset", "split", "unit"))
    run, layers = split_options(file, {**own, **given})
    return run, make_config(presets, run["preset"] or "default", layers)


def test_command_line_before_file_before_preset(tmp_path):
    run, config = options(tmp_path, "preset = 'paper'\nlr = 0.5\nseed = 3\nfaces = 700", lr=0.25, faces=900)
    assert run["preset"] == "paper"
    assert (config.lr, config.seed, config.optimizer) == (0.25, 3, "sgd")
    assert config.net.kind == "paper" and config.net.graph.faces == 900 and config.net.graph.k == 0
    _, config = options(tmp_path, "faces = 700")
    assert config.net.graph.faces == 700 and config.net.graph.k == 12
    assert options(tmp_path, "preset = 'paper'", preset="default")[1] == FINETUNE_PRESETS["default"]


def test_everything_can_stand_in_the_file(tmp_path, capsys):
    text = "preset = 'paper'\nsplit = 'a.json'\npalette = 'b.json:c'\nunit = 'cm'\ninit = 'd'\nlabel_fraction = 0.4\n"
    text += "numbering = 'fdi'\nlabels = 'reviewed'\n"
    run, config = options(tmp_path, text)
    assert run == {
        "preset": "paper", "split": "a.json", "palette": "b.json:c", "label_system": "fdi", "unit": "cm", "init": "d",
        "labels": "reviewed",
    }  # fmt: skip
    assert config.label_fraction == 0.4
    assert capsys.readouterr().err.endswith("numbering is now called label_system\n")
    run, _ = options(tmp_path, text, unit="m", split=Path("e.json"))
    assert (run["unit"], run["split"], run["palette"]) == ("m", Path("e.json"), "b.json:c")


def test_former_flags_are_accepted_with_a_notice(command, arches, segmenter, tmp_path):
    given = ("evaluate", arches / "0000_upper.stl", "--model", segmenter, "--out", tmp_path / "scores.json")
    done = command(*given, "--numbering=fdi", "--no-numbering")
    assert done.code == 0
    assert "Notice: --numbering is now called --label-system" in done.err
    assert "Notice: --no-numbering is now called --keep-numbers" in done.err
    assert "Notice" not in command(*given, "--label-system", "fdi", "--keep-numbers").err


@pytest.mark.parametrize("arguments, said", [
    (("evaluate", "."), "'-o': JSON file to write."),
    (("finetune", "."), "'-o': Folder for the run."),
    (("prepare", ".", "--out", "there"), "No such option '--out': write OUT without it"),
    (("synth", "-o", "there"), "No such option '-o': write OUT without it"),
    (("finetune", ".", "--crown-steps", "3"), "may be a key of the file that --config names"),
    (("finetune", ".", "--report"), "No such option '--report'; it is an option of predict, convert\n"),
    (("view", ".", "--pallete", "a"), "No such option '--pallete'. Did you mean '--palette'?\n"),
])  # fmt: skip
def test_a_wrong_call_says_what_is_missing_and_where_a_word_belongs(command, arguments, said):
    done = command(*arguments)
    assert done.code == 2 and said in done.err


def test_nested_tables(tmp_path):
    _, config = options(
        tmp_path,
        "[net]\nembedding = 16\n[net.graph]\nk = 5\n[views]\nmin_share = 0.3\n[views.augmentation]\nrotation = 7\n",
        PRETRAIN_PRESETS,
        faces=800,
    )
    assert (config.net.embedding, config.net.graph.k, config.net.graph.faces) == (16, 5, 800)
    assert config.views.min_share == 0.3 and config.views.augmentation.rotation == 7.0
    assert config.views.max_share == PRETRAIN_PRESETS["default"].views.max_share
    _, config = options(tmp_path, "[augmentation]\nmirror = 0\n")
    assert config.augmentation.mirror == 0.0 and config.augmentation.rotation == 30.0


def test_steps_undo_epochs_of_the_layers_below(tmp_path):
    assert options(tmp_path, "preset = 'paper'")[1].epochs == 400
    assert options(tmp_path, "preset = 'paper'\nsteps = 9")[1].epochs is None
    assert options(tmp_path, "epochs = 9", steps=8)[1].epochs is None
    assert options(tmp_path, "steps = 9", epochs=8)[1].epochs == 8


def test_output_names():
    paths = [Path(name) for name in ("a/x.stl", "b/y.ply", "a/y.obj")]
    assert output_names(paths) == ["x", "y.ply", "y.obj"]
    clinic = [Path(name) for name in ("1/upper.stl", "1/lower.stl", "2/upper.stl", "2/lower.stl", "2/lower.ply")]
    assert output_names(clinic) == ["1_upper", "1_lower", "2_upper", "2_lower.stl", "2_lower.ply"]
    assert output_names([Path("1/upper.stl"), Path("2/upper.stl"), Path("1/lower.stl")])[2] == "1_lower"
    assert output_names([Path("a/b/x.stl"), Path("c/b/x.stl")]) == ["a_b_x", "c_b_x"]
    with pytest.raises(ConfigError, match=r"several scans would be written as a_b_x\.stl: a_b/x\.stl, a/b/x\.stl"):
        output_names([Path("a_b/x.stl"), Path("a/b/x.stl"), Path("c/b/x.stl")])


def test_refuse_overwriting(tmp_path):
    scan = tmp_path / "scan.stl"
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError, match="own folder"):
        refuse_overwriting([scan], tmp_path / "sub" / "..")
    refuse_overwriting([scan], tmp_path / "sub")
    refuse_overwriting([scan], tmp_path / "new")
    scan.write_text("a scan")
    link = tmp_path / "sub" / "link.stl"
    link.symlink_to(scan)
    for folder in (tmp_path / "sub", tmp_path):  # of the link, whose labels are beside it, and of the scan
        with pytest.raises(ConfigError, match="own folder"):
            refuse_overwriting([link], folder)
    for name in ("link.stl", "link.txt"):
        with pytest.raises(ConfigError, match="choose another"):
            refuse_output([link], tmp_path / "sub" / name)
    for name in ("scan.stl", "scan.txt", "scan.json"):
        with pytest.raises(ConfigError, match="choose another"):
            refuse_output([scan], tmp_path / name)
    refuse_output([scan], tmp_path / "scores.json")


def test_labelled_files_of_scans_that_are_given_are_left_out(tmp_path, arch, capsys):
    scan = tmp_path / "anna" / "upper.stl"
    write_stl(scan, arch.vertices, arch.faces)
    for name, model in (("anna_upper", "a model"), ("ben_upper", "a model"), ("upper", None)):
        write_labelled(tmp_path / "before", name, arch, arch.labels, ("ply",), model=model)
    (tmp_path / "before" / "upper.found.json").unlink(missing_ok=True)
    (output, *others), here = sorted((tmp_path / "before").glob("*.ply")), (tmp_path,)
    assert without_labelled([scan, output, *others], here) == [scan, *others]
    assert "left out 1 scan" in capsys.readouterr().err
    assert without_labelled([output, *others], here) == [output, *others]
    assert without_labelled([scan, output], (*here, output)) == [scan, output]  # asked for by name
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "name", "jaw", "told"),
    [
        ("lower/007.stl", "lower_007", 0, True),
        ("lower/007.stl", "lower_007", 1, False),
        ("lower/007.stl", "007", 0, False),
        ("lower/007_lower.stl", "007_lower", 0, False),  # the net decides, and a doubt says so
    ],
)
def test_a_folder_that_says_another_jaw_is_told(net, arch, caplog, file, name, jaw, told):
    found = segment(replace(arch, jaw=jaw), net, options=PredictOptions(find_pose=False))
    with caplog.at_level("WARNING", logger="toothgraph"):
        warn_of_folder_jaw(Job(Path(file), name, (name,)), found)
    assert ("labelled as the upper jaw, though the name of its folder says lower" in caplog.text) is told


def test_without_outputs(tmp_path):
    out = tmp_path / "labelled"
    out.mkdir()
    files = [tmp_path / "a.stl", out / "a.ply"]
    assert without_outputs(files, (tmp_path,), out) == files[:1]
    assert without_outputs(files, (tmp_path, out / "a.ply"), out) == files  # asked for by name
    assert without_outputs(files, (out,), out) == files
    assert without_outputs(files, (tmp_path,), tmp_path) == files


def test_choose_device():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(None) == choose_device("auto")
    for name in ("abacus", "meta", "cuda:99"):
        with pytest.raises(ConfigError, match="device"):
            choose_device(name)


def test_choose_scans(arches, tmp_path):
    assert len(choose_scans((arches,), None, None)) == 6
    split = tmp_path / "split.json"
    split.write_text('{"train": ["0000", "0002"], "val": ["0001"]}')
    assert [file.stem for file in choose_scans((arches,), split, None)] == ["0001_lower", "0001_upper"]
    assert len(choose_scans((arches,), split, "train")) == 4


def test_help_does_not_wait_for_torch():
    script = (
        "import sys\nfrom toothgraph.cli import main\n"
        f"for name in {[*COMMANDS]!r}:\n    main([name, '--help'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'scipy', 'matplotlib', 'lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage: ") == len(COMMANDS)
    assert "'torch'" not in done.stdout and "'lightning'" not in done.stdout and "'matplotlib'" not in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name, command):
    done = command(name, "--help")
    assert done.code == 0 and done.err == ""
    assert all(len(line) <= 100 for line in done.out.splitlines())
    said = done.out.split("Options:")[1]
    assert "--help" in said


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        (("predct", "x.stl"), "No such command 'predct'; did you mean 'predict'?"),
        (("segment",), "No such command 'segment'; the commands are prepare, pretrain, finetune, "),
        (("predict", "x.stl", "--out", "y", "--jaw", "uper"), "did you mean 'upper'?"),
        (("predict", "x.stl", "--out", "y", "--format", "PLY"), "did you mean 'ply'?"),
        (("pretrain", "x.stl", "--out", "y", "--preset", "papr"), "did you mean 'paper'?"),
        (("evaluate", "x.stl", "--out", "y", "--label-system", "universel"), "did you mean 'universal'?"),
        (("finetune", "x.stl", "--out", "y", "--epoch", "3"), "Did you mean '--epochs'?"),  # by click
    ],
)
def test_a_slip_is_answered_with_what_was_meant(given, nearest, command):
    done = command(*given)
    assert done.code == 2 and nearest in " ".join(done.err.split())


def test_what_is_missing_is_named(command):
    assert "Missing arguments 'SCANS...' and 'OUT'." in command("prepare").err
    done = command("prepare", "my-scans")
    assert done.code == 2 and "Missing argument 'OUT', the folder to write to; only 'my-scans' is given." in done.err
    assert "prepare [OPTIONS] SCANS... OUT" in done.err


def test_slips_in_files_are_answered_too(command, arches, tmp_path):
    file = tmp_path / "options.toml"
    for text, said in (
        ("stepz = 3", "unknown option 'stepz'; did you mean 'steps'?"),
        ("splitt = 'a.json'", "unknown option 'splitt'; did you mean 'split'?"),
        ("[net.graph]\nface = 300", "unknown option 'face'; did you mean 'faces'?"),
        ("preset = 'papr'", "got 'papr'; did you mean 'paper'?"),
        ("optimizer = 'adan'", "got 'adan'; did you mean 'adam'?"),
    ):
        file.write_text(text)
        assert said in command("pretrain", arches, "--out", tmp_path / "run", "--config", file).error
    (tmp_path / "palettes.json").write_text('{"my-set": {}}')
    given = ("finetune", arches, "--out", tmp_path / "run", "--palette", f"{tmp_path / 'palettes.json'}:myset")
    assert "no palette 'myset'; available: my-set; did you mean 'my-set'?" in command(*given).error


def test_shells_offer_default_and_files_as_a_model(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    complete = ShellComplete(main, {}, "toothgraph", "_TOOTHGRAPH_COMPLETE").get_completions
    for given in (["predict", "--model"], ["finetune", "--init"], ["view", "--compare"]):
        assert {item.value for item in complete(given, "")} == {"default", "data/", "runs/"}
        assert {item.value for item in complete(given, "d")} == {"default", "data/"}
        assert [(item.value, item.type) for item in complete(given, "runs/")] == [("runs/", "file")]  # by the shell


@pytest.mark.parametrize(
    ("typed", "last", "offered"),
    [
        ((), "p", {"predict", "prepare", "pretrain"}),
        (("predict",), "--ja", {"--jaw"}),
        (("predict", "--jaw"), "", {"upper", "lower", "auto"}),
    ],
)
def test_shells_complete(typed, last, offered):
    """By click, which the how-to tells how to switch on."""
    found = ShellComplete(main, {}, "toothgraph", "_TOOTHGRAPH_COMPLETE").get_completions(list(typed), last)
    assert {item.value for item in found} == offered


@pytest.mark.parametrize("asked", [("predict", "--out"), ("review", "--labels")], ids=["predict", "review"])
def test_a_format_that_cannot_be_written_is_refused_before_any_work(asked, command, arches, monkeypatch, tmp_path):
    monkeypatch.setattr("toothgraph.errors.find_spec", lambda name: None)
    name, where = asked
    done = command(name, arches / "0000_upper.stl", where, tmp_path / "out", "--format", "vtp")
    assert done.code == 1 and done.error == (
        "Error: --format vtp or vtk needs the extra vtk: pip install 'toothgraph[vtk]'"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("predict", "nothing.stl", "--out", "o"), "nothing.stl: no such file or folder"),
        (("predict", ".", "--out", "o", "--model", "nothing"), "nothing: no such file or folder"),
        (("predict", ".", "--out", "wrong.json"), "wrong.json: expected a folder to write to, found a file"),
        (("predict", ".", "--out", "o", "--device", "gpu"), "expected a device of auto, cpu, cuda or mps, got 'gpu'"),
        (("view", "nothing.stl", "--out", "o.html"), "nothing.stl: no such file or folder"),
        (("evaluate", "nothing", "--out", "o.json"), "nothing: no such file or folder"),
        (("pretrain", "nothing", "--out", "o"), "nothing: no such file or folder"),
        (("finetune", "nothing", "--out", "o"), "nothing: no such file or folder"),
        (("review", "nothing", "--labels", "o"), "nothing: no such file or folder"),
        (("review", ".", "--apply", "nothing"), "nothing: no such file or folder"),
        (("review", ".", "--labels", "wrong.json"), "wrong.json: expected a folder to write to, found a file"),
        (("prepare", "nothing", "o"), "nothing: no such file or folder"),
        (("prepare", ".", "wrong.json/o"), "wrong.json: expected a folder to write to, found a file"),
        (("prepare", ".", "o", "--palette", "nothing:a"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "o", "--init", "nothing"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "o", "--init", "."), ".: expected model.safetensors in this folder, found none"),
        (("finetune", ".", "--out", "o", "--split", "nothing"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "o", "--split", "wrong.json"), "wrong.json: expected a JSON split"),
        (("finetune", ".", "--out", "o", "--palette", "wrong.json:a"), "wrong.json: expected a JSON file of palettes"),
        (("finetune", ".", "--out", "o", "--labels", "nothing"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "o", "--labels", "wrong.json"), "wrong.json: expected a folder with labels"),
        (("finetune", ".", "--out", "o", "--config", "nothing"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "o", "--config", "wrong.json"), "wrong.json: not a TOML file"),
        (("finetune", ".", "--out", "o", "--config", "split.toml"), "nothing: no such file or folder"),
        (("finetune", ".", "--out", "."), ".: --out contains the scans"),
        (("pretrain", ".", "--out", "run"), "run: holds a run already"),
        (("evaluate", ".", "--out", "o.json", "--split", "wrong.json"), "wrong.json: expected a JSON split"),
        (("evaluate", ".", "--out", "o.json", "--subset", "val"), "--subset needs --split"),
        (("evaluate", ".", "--out", "o.json", "--predictions", "nothing"), "nothing: no such file or folder"),
        (("evaluate", ".", "--out", "wrong.json/o"), "wrong.json: expected a folder to write to, found a file"),
        (("view", "scan.stl", "--out", "o.pdf"), "o.pdf: expected a name that ends in .html or .png"),
        (("view", "scan.stl", "--out", "o.html", "--compare", "nothing"), "nothing: no such file or folder"),
        (("view", ".", "--out", "o", "--palette", "a"), "expected a palette as FILE:SET"),
        (("pretrain", ".", "--out", "o", "--steps", "0"), "expected steps of at least 1, got 0"),
        (("finetune", ".", "--out", "o", "--label-fraction", "2"), "expected label_fraction of 0 to 1, got 2.0"),
        (("pretrain", ".", "--out", "o", "--config", "range.toml"), "expected lr of above 0, got -1"),
        (("finetune", ".", "--out", "o", "--config", "word.toml"), "'sdg'; did you mean 'sgd'?"),
        (("export", "nothing", "--out", "o"), "nothing: no such file or folder"),
        (("export", "--out", "o.pdf"), "o.pdf: expected a file name that ends in .onnx or .pt2, or a folder name"),
        (("export", "--out", "o", "--scores", "nothing"), "nothing: no such file or folder"),
        (("convert", "nothing", "--out", "o"), "nothing: no such file or folder"),
        (("convert", ".", "--out", "o", "--labels", "nothing"), "nothing: no such file or folder"),
        (("renumber", "nothing"), "nothing: no such file or folder"),
        (("info", "nothing"), "nothing: no such file or folder"),
        (("--help",), ""),
        (("synth", "--help"), ""),
    ],
    ids=lambda value: "-".join(value[:1] + value[-1:]) if isinstance(value, tuple) else "",
)
def test_what_can_be_refused_is_refused_before_libraries_are_loaded(asked, said, tmp_path):
    """Torch and scipy take seconds to import; what was typed wrong is told at once, and what is not there in the same
    words everywhere."""
    (tmp_path / "wrong.json").write_text("{")
    (tmp_path / "split.toml").write_text("split = 'nothing'\n")
    (tmp_path / "range.toml").write_text("lr = -1\n")
    (tmp_path / "word.toml").write_text("optimizer = 'sdg'\n")
    (tmp_path / "scan.stl").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    script = (
        "import sys; from toothgraph.cli import main\n"
        "try: main(sys.argv[1:], prog_name='toothgraph')\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = [name for name in ('torch', 'scipy', 'matplotlib') if name in sys.modules]\n"
        "print('loaded', heavy, 'code', code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *asked], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"loaded [] code {1 if said else 0}" in done.stdout and said in done.stderr
