"""What TensorBoard gets of a run, read back from its event files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from toothgraph.anatomy.colours import COLOUR_OF_FDI
from toothgraph.fdi import class_to_fdi
from toothgraph.report.picture import pixels
from toothgraph.training.board import Board, draw_found
from toothgraph.training.callbacks import Shown

PICTURES = ["validation/arch", "validation/confusion"]


@pytest.fixture
def pictures(light_runs, monkeypatch) -> None:
    """Runs draw what other tests do without."""
    monkeypatch.setattr(Board, "on_validation_batch_end", light_runs)


def events(run: Path) -> EventAccumulator:
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


def steps(found: EventAccumulator, name: str) -> list[int]:
    return [event.step for event in found.Scalars(name)]


def test_a_run_shows_its_pace_and_what_it_finds(pictures, command, arches, tiny_toml, tmp_path) -> None:
    done = command("finetune", arches, "--config", tiny_toml, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    found = events(tmp_path / "run")
    assert steps(found, "lr") == steps(found, "scans_per_second") == [1, 2, 3, 4]
    assert all(0 < event.value < 1000 for event in found.Scalars("scans_per_second"))
    assert {"train_loss", "val_miou", "val_loss"} <= set(found.Tags()["scalars"])
    assert "hp_metric" not in found.Tags()["scalars"]
    assert sorted(found.Tags()["images"]) == PICTURES
    for name in PICTURES:
        assert [event.step for event in found.Images(name)] == [2, 4]
        image = Image.open(io.BytesIO(found.Images(name)[0].encoded_image_string))
        assert min(image.size) > 200 and len(np.unique(np.asarray(image))) > 20


def test_pretraining_has_no_labels_to_show(pretrained: Path) -> None:
    found = events(pretrained)
    assert steps(found, "lr") == [1, 2, 3, 4] and found.Tags()["images"] == []


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_what_was_done_twice_is_shown_once(pictures, command, arches, tiny_toml, monkeypatch, tmp_path) -> None:
    """Killed after step 3, with the checkpoint of step 2: steps 3 and 4 are those of the second process."""
    real = Shown.on_train_batch_end

    def dies(self, trainer, *args):
        real(self, trainer, *args)
        if trainer.global_step == 3:
            trainer.logger.log_metrics({"of_the_first": 1.0}, 3)
            trainer.logger.save()
            raise OSError("the machine goes down")

    run = ("finetune", arches, "--config", tiny_toml, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Shown, "on_train_batch_end", dies)
        assert command(*run).code == 1
    before = events(tmp_path / "run")
    assert steps(before, "of_the_first") == [3] and [one.step for one in before.Images(PICTURES[0])] == [2]
    assert command(*run, "--resume").code == 0
    found = events(tmp_path / "run")
    assert steps(found, "lr") == [1, 2, 3, 4] and steps(found, "val_miou") == [*steps(before, "val_miou"), 3]
    assert [event.step for event in found.Images(PICTURES[0])] == [2, 4]
    assert "of_the_first" not in found.Tags()["scalars"] or steps(found, "of_the_first") == []


def test_the_arch_has_the_colours_of_its_teeth_and_red_where_it_is_wrong(arch_graph) -> None:
    labels = class_to_fdi(arch_graph.y.numpy())
    tooth = int(np.unique(labels[labels > 0])[0])
    wrong = np.where(labels == tooth, 0, labels)

    def panels(found: np.ndarray) -> list[np.ndarray]:
        return np.array_split(pixels(draw_found(arch_graph, found, 7)).astype(float), 3, axis=1)

    def count(panel: np.ndarray, colour: tuple[float, ...]) -> int:
        brightness = panel @ np.array(colour) / np.square(colour).sum()
        off = np.abs(panel - brightness[..., None] * np.array(colour)).max(axis=-1)
        return int(((off < 3) & (brightness > 0.3)).sum())

    red = (0.85 * 255, 0.1 * 255, 0.1 * 255)
    truth, found, differs = panels(wrong)
    assert count(truth, COLOUR_OF_FDI[tooth]) > 50 and count(found, COLOUR_OF_FDI[tooth]) == 0
    assert count(differs, red) > 50 and count(panels(labels)[2], red) == 0
