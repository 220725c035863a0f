"""A run that is stopped and resumed is the run that was never stopped."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from toothgraph.training.callbacks import Checkpoints, GentleStop
from toothgraph.training.pretrain import PretrainTask

ROOT = Path(__file__).resolve().parents[2]


def table(run: Path) -> list[tuple[str, ...]]:
    """The rows of metrics.csv without the seconds."""
    with (run / "metrics.csv").open(newline="") as file:
        return [tuple(value for key, value in row.items() if key != "seconds") for row in csv.DictReader(file)]


@pytest.fixture
def stop_at(monkeypatch):
    """Ctrl-C in the given step."""

    def arrange(step: int) -> None:
        def with_signal(self, trainer, *args):
            if trainer.global_step == step:
                os.kill(os.getpid(), signal.SIGINT)
            real(self, trainer, *args)

        monkeypatch.setattr(GentleStop, "on_train_batch_end", with_signal)

    real = GentleStop.on_train_batch_end
    yield arrange
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_averaged_weights_survive_a_resume(command, arches, tiny_toml, stop_at, monkeypatch, tmp_path):
    (tmp_path / "average.toml").write_text("average = 0.5\n" + tiny_toml.read_text())
    run = ("finetune", arches, "--config", tmp_path / "average.toml", "--out")
    assert command(*run, tmp_path / "whole").code == 0
    stop_at(3)
    assert command(*run, tmp_path / "run").code == 130
    monkeypatch.undo()
    assert command(*run, tmp_path / "run", "--resume").code == 0
    whole, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[key], found[key]) for key in whole)
    last = torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)["state_dict"]
    weight = "head.classify.2.weight"
    assert not torch.equal(last[f"net.{weight}"], whole[weight])  # the trained one goes on, the average is kept
    assert table(tmp_path / "run") == table(tmp_path / "whole")


def test_averaged_weights_survive_an_end_before_the_model_was_written(command, arches, tiny_toml, tmp_path):
    (tmp_path / "average.toml").write_text("average = 0.5\n" + tiny_toml.read_text())
    run = ("finetune", arches, "--config", tmp_path / "average.toml", "--out", tmp_path / "run")
    assert command(*run).code == 0
    model = tmp_path / "run" / "model.safetensors"
    whole = load_file(model)
    model.unlink()
    assert command(*run, "--resume").code == 0
    found = load_file(model)
    assert all(torch.equal(whole[key], found[key]) for key in whole)


def test_ctrl_c_in_the_last_step_loses_nothing(
    command, arches, tiny_toml, pretrained, segmenter, stop_at, monkeypatch, tmp_path
):
    stop_at(4)
    run = ("finetune", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--init", pretrained)
    assert command(*run).code == 0
    monkeypatch.undo()
    whole, found = (load_file(folder / "model.safetensors") for folder in (segmenter, tmp_path / "run"))
    assert all(torch.equal(whole[key], found[key]) for key in whole)


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
@pytest.mark.parametrize("step", [2, 3])  # with a validation due, and without
def test_resumed_run_is_bit_identical(
    name, step, command, arches, tiny_toml, pretrained, segmenter, stop_at, monkeypatch, tmp_path
):
    whole = pretrained if name == "pretrain" else segmenter
    init = () if name == "pretrain" else ("--init", pretrained)
    run = (name, arches, "--out", tmp_path / "run", "--config", tiny_toml, *init)
    stop_at(step)
    stopped = command(*run)
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1] == f"stopped at step {step} of 4; to go on, run the same command with --resume"
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert table(tmp_path / "run") == [row for row in table(whole) if int(row[0]) <= step]

    monkeypatch.undo()
    resumed = command(*run, "--resume")
    assert resumed.code == 0 and f"resumed at step {step}" in resumed.err
    assert table(tmp_path / "run") == table(whole)
    expected, found = (load_file(folder / "model.safetensors") for folder in (whole, tmp_path / "run"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    for file in ("last.ckpt", "best.ckpt"):
        first, second = (torch.load(folder / file, weights_only=True) for folder in (whole, tmp_path / "run"))
        assert first["global_step"] == second["global_step"]


@pytest.mark.parametrize(
    ("owner", "hook", "step"),
    [(Checkpoints, "on_train_batch_end", 2), (PretrainTask, "validation_step", 3)],
    ids=["after the step was looked at", "in a validation"],
)
def test_sigterm_saves_a_step_whenever_it_comes(owner, hook, step, command, arches, tiny_toml, monkeypatch, tmp_path):
    """Lightning would end the run before the next step is saved."""

    def with_signal(self, *args):
        real(self, *args)
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    real, sent = getattr(owner, hook), []
    monkeypatch.setattr(owner, hook, with_signal)
    done = command("pretrain", arches, "--out", tmp_path, "--config", tiny_toml)
    assert done.code == 143 and done.err.splitlines()[-1].startswith(f"stopped at step {step} of 4; to go on")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == step
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_second_ctrl_c_stops_at_once(command, arches, tiny_toml, monkeypatch, tmp_path):
    def twice(self, trainer, *args):
        if trainer.global_step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(GentleStop, "on_train_batch_end", twice)
    done = command("pretrain", arches, "--out", tmp_path, "--config", tiny_toml)
    assert done.code == 130 and "stopped at once; to go on, run the same command with --resume" in done.err
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_the_first_step_says_how_to_go_on(command, arches, tiny_toml, monkeypatch, tmp_path):
    def stopped(*args):
        raise KeyboardInterrupt

    given = ("pretrain", arches, "--out", tmp_path / "run", "--config", tiny_toml)
    with monkeypatch.context() as patch:
        patch.setattr("toothgraph.training.run.fit", stopped)
        done = command(*given)
    assert done.code == 130
    assert done.err.splitlines()[-1] == "stopped at step 0 of 4; to go on, run the same command with --resume"
    assert "val_match_top1: share of the faces that are found again" in done.err
    done = command(*given, "--resume")
    assert done.code == 0 and "begins at step 0 of 4" in done.err and "nothing to resume" not in done.err


def test_dropout_and_order_depend_on_the_seed(command, arches, tiny_toml, segmenter, pretrained, tmp_path):
    """Else the test above could not fail."""
    done = command(
        "finetune", arches, "--out", tmp_path, "--config", tiny_toml, "--init", pretrained, "--seed", 1
    )  # fmt: skip
    assert done.code == 0
    first, second = (load_file(run / "model.safetensors") for run in (segmenter, tmp_path))
    assert any(not torch.equal(first[key], second[key]) for key in first)


def test_workers_change_nothing(command, arches, tiny_toml, pretrained, tmp_path):
    done = command("pretrain", arches, "--out", tmp_path, "--config", tiny_toml, "--workers", 1)
    assert done.code == 0, done.err
    first, second = (load_file(run / "model.safetensors") for run in (pretrained, tmp_path))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_best_is_known_after_a_resume(command, arches, tiny_toml, stop_at, monkeypatch, tmp_path):
    """last.ckpt of a step with a validation is older than the validation."""
    run = ("pretrain", arches, "--out", tmp_path, "--config", tiny_toml)
    stop_at(2)
    assert command(*run).code == 130
    monkeypatch.undo()
    file = tmp_path / "metrics.csv"
    lines = file.read_text().splitlines()
    place = lines[0].split(",").index("val_match_top1")
    row = lines[-1].split(",")
    assert row[place]
    row[place] = "1.0"  # nothing that follows can be better
    file.write_text("\n".join([*lines[:-1], ",".join(row)]) + "\n")
    assert command(*run, "--resume").code == 0
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize(("step", "at_once"), [(1, False), (2, False), (3, False), (1, True), (3, True)])
def test_info_says_where_resume_goes_on(step, at_once, command, arches, tiny_toml, monkeypatch, tmp_path):
    def ctrl_c(self, trainer, *args):
        if trainer.global_step == step:
            for _ in range(2 if at_once else 1):
                os.kill(os.getpid(), signal.SIGINT)
        real(self, trainer, *args)

    real = GentleStop.on_train_batch_end
    monkeypatch.setattr(GentleStop, "on_train_batch_end", ctrl_c)
    rare = tmp_path / "rare.toml"  # rows of the table at other steps than checkpoints
    rare.write_text(tiny_toml.read_text().replace("log_every = 1", "log_every = 3"))
    run = ("pretrain", arches, "--out", tmp_path / "run", "--config", rare)
    assert command(*run).code == 130
    monkeypatch.undo()
    state = re.search(r"^state .*", command("info", tmp_path / "run").out, re.MULTILINE)[0]
    assert f" stopped at step {step} of 4; --resume " in state
    resumed = command(*run, "--resume").err
    said, does = (int(re.search(r"(?:resumed|goes on|begins) at step (\d+)", text)[1]) for text in (state, resumed))
    assert said == does
    assert command("info", tmp_path / "run").out.count("finished, at step 4 of 4") == 1


def test_info_of_damaged_checkpoints(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    (run / "model.safetensors").unlink()
    (run / "last.ckpt").write_bytes(b"")
    assert (
        "finished at step 4 of 4, but model.safetensors is gone; --resume goes on at step 2" in command("info", run).out
    )
    (run / "previous.ckpt").write_bytes(b"")
    done = command("info", run)
    assert done.code == 0 and "--resume cannot go on: " in done.out and "last.ckpt: not a whole checkpoint" in done.out


def test_nothing_to_resume(command, arches, tiny_toml, tmp_path):
    done = command("pretrain", arches, "--out", tmp_path, "--config", tiny_toml, "--steps", 1, "--resume")
    assert done.code == 0 and "nothing to resume: begins at step 0" in done.err


def test_finished_run_stays_as_it_is(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    before = (run / "model.safetensors").read_bytes(), table(run)
    done = command("pretrain", arches, "--out", run, "--config", tiny_toml, "--resume")
    assert done.code == 0 and "finished already, at step 4" in done.err
    assert done.out == f"kept {run / 'model.safetensors'}\n"
    assert ((run / "model.safetensors").read_bytes(), table(run)) == before


def test_a_finished_run_without_checkpoints_stays_as_it_is(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    for name in ("last.ckpt", "previous.ckpt", "best.ckpt"):
        (run / name).unlink()
    before = {file: file.read_bytes() for file in run.iterdir() if file.suffix in (".safetensors", ".json", ".csv")}
    done = command("pretrain", arches, "--out", run, "--config", tiny_toml, "--resume")
    assert done.code == 0 and "finished already, at step 4" in done.err
    assert before == {file: file.read_bytes() for file in before}


def test_an_option_that_a_run_did_not_know_of_had_its_default(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    content = json.loads((run / "config.json").read_text())
    del content["options"]["views"]["radius"], content["options"]["net"]["graph"]["along_surface"]
    (run / "config.json").write_text(json.dumps(content))
    done = command("pretrain", arches, "--out", run, "--config", tiny_toml, "--resume")
    assert done.code == 0 and "finished already, at step 4" in done.err


def test_resume_with_other_options_or_scans_is_refused(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    given = ("pretrain", "--out", run, "--config", tiny_toml, "--resume")
    assert "other options or scans than it was started with: lr" in command(*given, arches, "--lr", 0.5).error
    fewer = [path for path in arches.glob("*.stl") if not path.name.startswith("0000")]
    assert "it was started with: train" in command(*given, *fewer).error
    assert "it was started with" in command("finetune", *given[1:], arches).error


def test_a_damaged_checkpoint_falls_back_to_the_one_before(command, arches, tiny_toml, pretrained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(pretrained, run)
    (run / "model.safetensors").unlink()
    for damaged in (b"", (run / "last.ckpt").read_bytes()[:-1000]):
        (run / "last.ckpt").write_bytes(damaged)
        done = command("pretrain", arches, "--out", run, "--config", tiny_toml, "--resume")
        assert done.code == 0, done.err
        assert (
            "last.ckpt: not a whole checkpoint" in done.err
            and "the run goes on from the checkpoint before it" in done.err
        )
        found, wanted = (load_file(each / "model.safetensors") for each in (run, pretrained))
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
        assert table(run) == table(pretrained)
        (run / "model.safetensors").unlink()


def test_a_validation_that_was_cut_off_is_not_lost(command, arches, tiny_toml, pretrained, monkeypatch, tmp_path):
    def cut_off(self, batch, batch_idx):
        if self.trainer.global_step == 4:
            raise RuntimeError("as if it had been killed")
        real(self, batch, batch_idx)

    real = PretrainTask.validation_step
    monkeypatch.setattr(PretrainTask, "validation_step", cut_off)
    run = ("pretrain", arches, "--out", tmp_path, "--config", tiny_toml)
    with pytest.raises(RuntimeError, match="killed"):
        command(*run)
    monkeypatch.undo()
    done = command(*run, "--resume")
    assert done.code == 0 and "resumed at step 2" in done.err
    assert table(tmp_path) == table(pretrained)
    found, wanted = (load_file(out / "model.safetensors") for out in (tmp_path, pretrained))
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_killed_at_any_moment(command, apart, arches, tiny_toml, tmp_path):
    """kill -9, twice, wherever it is; then it goes on, and the net is the one of a run that was never killed."""
    given = ["pretrain", arches, "--config", tiny_toml, "--steps", 40, "--checkpoint-every", 1, "--resume", "--out"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    rng = np.random.default_rng()  # another moment each time
    for _ in range(2):
        process = apart(*given, run)
        steps = step_of(run) + rng.integers(1, 8)
        while step_of(run) < steps and process.is_alive():
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
    assert not (run / "model.safetensors").exists(), "the run was too fast to be killed"
    for out in (run, whole):
        done = command(*given, out)
        assert done.code == 0, done.err
    found, wanted = (load_file(out / "model.safetensors") for out in (run, whole))
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert table(run) == table(whole)


def step_of(run: Path) -> int:
    """The last step in the table of a run."""
    return int(table(run)[-1][0]) if (run / "metrics.csv").exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_to_a_process_that_a_script_started(number, code, arches, tiny_toml, tmp_path):
    run = [sys.executable, "-m", "toothgraph", "pretrain", str(arches), "--out", str(tmp_path / "run")]
    run += ["--config", str(tiny_toml), "--steps", "100000", "--validate-every", "100000", "--workers", "1"]
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `&` in a script does
    try:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(run, cwd=ROOT, text=True, start_new_session=True, **pipes)
    finally:
        signal.signal(signal.SIGINT, ignored)
    with process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "last.ckpt").exists() and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.killpg(process.pid, number)  # to its loaders, too, as terminals and batch systems do
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "stopping after this step" in err and "Traceback" not in err
    assert "to go on, run the same command with --resume" in err.splitlines()[-1]
    step = int(err.splitlines()[-1].split()[3])
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == step
