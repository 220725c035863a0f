"""Whole commands on the pretended device: training, validation, checkpoints, resume, prediction, scores."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy
from safetensors.torch import load_file

from toothgraph.training.callbacks import Checkpoints, GentleStop


class PretendedAccelerator(Accelerator):
    """The pretended device for Lightning."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing to set up."""

    def teardown(self) -> None:
        """Nor to take down."""

    @staticmethod
    def parse_devices(devices: Any) -> int:
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        return [torch.device("pretended", number) for number in range(devices)]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "pretended"


class Steps(pl.Callback):
    """What each step of a training waited for, and where its net was."""

    def __init__(self, pretended: Any) -> None:
        self.pretended = pretended
        self.waits: list[dict[str, int]] = []
        self.devices: set[torch.device] = set()

    def on_train_batch_start(self, *_: Any) -> None:
        self.before = Counter(self.pretended.waits)

    def on_train_batch_end(self, trainer: Any, task: Any, *_: Any) -> None:
        self.waits.append(dict(self.pretended.waits - self.before))
        self.devices |= {parameter.device for parameter in task.parameters()}


@pytest.fixture
def steps(pretended: Any, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The device of the commands is the pretended one; the steps of the next training."""
    trainer, steps = pl.Trainer, Steps(pretended)

    def on_it(**options: Any) -> pl.Trainer:
        precision = options.pop("precision")
        plugins = [] if precision == "32-true" else [MixedPrecision(precision, device=pretended.device.type)]
        strategy = SingleDeviceStrategy(pretended.device, PretendedAccelerator())
        gentle_stop, *others = options.pop("callbacks")  # the checkpoint of the step is not the step's
        callbacks = [gentle_stop, *(one for one in others if not isinstance(one, Checkpoints)), steps]
        callbacks += [one for one in others if isinstance(one, Checkpoints)]
        return trainer(
            **{**options, "accelerator": "auto", "strategy": strategy, "plugins": plugins, "callbacks": callbacks}
        )

    monkeypatch.setattr(pl, "Trainer", on_it)
    for module in ("device", "labelling", "scoring", "training_options", "workers"):
        monkeypatch.setattr(f"toothgraph.cli.{module}.choose_device", lambda name: pretended.device)
    return steps


@pytest.fixture(scope="module")
def short(tiny_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of the shortest runs, which write no rows but those of validations."""
    folder = tmp_path_factory.mktemp("short")
    changed = {"faces": 200, "steps": 2, "variants": 1, "log_every": 50}
    lines = (line.split(" = ") for line in tiny_toml.read_text().splitlines())
    (folder / "short.toml").write_text("".join(
        f"{name} = {changed.get(name, *value)}\n" if value else f"{name}\n" for name, *value in lines
    ))  # fmt: skip
    return folder / "short.toml"


@pytest.fixture(scope="module")
def short_finetuning(short: Path) -> Path:
    """The same for ``finetune``: nothing is learned after the steps, which would be on the CPU."""
    file = short.with_name("short_finetuning.toml")
    file.write_text('crowns = "keep"\n' + short.read_text())
    return file


@pytest.fixture(scope="module")
def two(arches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two of the labelled arches, of two patients."""
    folder = tmp_path_factory.mktemp("two")
    for file in arches.glob("000[01]_upper.*"):
        shutil.copy(file, folder)
    return folder


def test_pretraining(steps: Steps, command: Callable[..., Any], two: Path, short: Path, tmp_path: Path) -> None:
    done = command("pretrain", two, "--out", tmp_path / "run", "--config", short)
    assert done.code == 0, done.err
    assert steps.devices == {steps.pretended.device} and len(steps.waits) == 2
    print(steps.waits)
    # is the loss finite, the loss that is shown, and where near pairs begin and end, for each scan
    assert all(sum(waits.values()) <= 3 for waits in steps.waits), steps.waits


def test_finetuning_waits_twice_a_step(
    steps: Steps, command: Callable[..., Any], two: Path, short_finetuning: Path, pretrained: Path, tmp_path: Path
) -> None:
    done = command("finetune", two, "--out", tmp_path / "run", "--config", short_finetuning, "--init", pretrained)
    assert done.code == 0, done.err
    assert steps.devices == {steps.pretended.device} and len(steps.waits) == 2
    print(steps.waits)
    assert all(sum(waits.values()) <= 2 for waits in steps.waits), steps.waits


def test_resumed_in_mixed_precision(
    steps: Steps,
    command: Callable[..., Any],
    two: Path,
    short_finetuning: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "average.toml").write_text("average = 0.5\n" + short_finetuning.read_text())
    run = ("finetune", two / "0000_upper.stl", "--config", tmp_path / "average.toml", "--precision", "bf16", "--out")
    assert command(*run, tmp_path / "whole").code == 0
    real = GentleStop.on_train_batch_end

    def stopped(self: GentleStop, trainer: pl.Trainer, *args: Any) -> None:
        self.asked = trainer.global_step == 1
        real(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(GentleStop, "on_train_batch_end", stopped)
        assert command(*run, tmp_path / "run").code == 130
    steps.waits.clear()
    done = command(*run, tmp_path / "run", "--resume")
    assert done.code == 0, done.err
    assert len(steps.waits) == 1
    whole, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[key], found[key]) for key in whole)


def test_prediction_and_scores(
    steps: Steps,
    command: Callable[..., Any],
    two: Path,
    segmenter: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    scan, options = two / "0000_upper.stl", ("--model", segmenter, "--no-orient", "--out")
    assert command("predict", scan, *options, tmp_path / "there").labelled
    assert steps.pretended.waits
    done = command("evaluate", scan, *options, tmp_path / "scores")
    assert done.code == 0, done.err
    monkeypatch.undo()
    assert command("predict", scan, *options, tmp_path / "here").labelled
    there, here = (tmp_path / folder / "0000_upper.txt" for folder in ("there", "here"))
    assert there.read_text() == here.read_text()
