"""The mean teacher of the study of few labelled patients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch

from benchmarks.studies.mean_teacher import ClassesUnknown, MeanTeacher, mixed
from toothgraph.data import prepare_scan
from toothgraph.data.loading import LabelledGraphs, collate
from toothgraph.data.scan import Scan
from toothgraph.fdi import UNKNOWN
from toothgraph.model.file import make_net
from toothgraph.model.nets import SegmentationNet
from toothgraph.synthetic import synthetic_arch
from toothgraph.training.config import FINETUNE_PRESETS
from toothgraph.training.finetune import FinetuneTask

CONFIG = replace(FINETUNE_PRESETS["default"], crowns="keep")
CONFIG = replace(CONFIG, net=replace(CONFIG.net, graph=replace(CONFIG.net.graph, faces=800)))


@pytest.fixture(scope="module")
def scans() -> list[Scan]:
    return [prepare_scan(synthetic_arch(seed, jaw=seed % 2, faces=3000), CONFIG.net.graph, 2, 0) for seed in range(3)]


def made(scans: list[Scan], kind: type[FinetuneTask]) -> tuple[FinetuneTask, Batch]:
    torch.manual_seed(0)
    graphs = LabelledGraphs(scans, CONFIG.net.graph, 0)
    task = kind(make_net(SegmentationNet, CONFIG.net), CONFIG, graphs, graphs, collate)
    task.net.eval()  # no dropout
    return task, collate([graphs[0, number] for number in range(len(scans))])


def test_half_of_what_is_drawn_has_labels_and_the_others_tell_nothing(scans: list[Scan]) -> None:
    sides = mixed(scans[:1], scans[1:])
    assert [scan.labelled for scan in sides.train] == [True, True, False, False] and not sides.val
    for graph in sides.train[-1].variants:
        assert graph.jaw == -1 and (graph.y == UNKNOWN).all()
    assert (scans[-1].variants[0].y >= 0).any()  # the scan itself keeps its labels
    assert isinstance(sides.train[-1].variants[:1], ClassesUnknown)


def test_what_the_teacher_is_sure_of_is_learned_where_no_class_is_known(
    scans: list[Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = list(mixed(scans[:1], scans[1:2]).train)
    task, batch = made(hidden, MeanTeacher)
    assert isinstance(task, MeanTeacher)
    asked: list[Tensor] = []
    monkeypatch.setattr(task, "_loss", lambda log_prob, batch: asked.append(batch.y) or log_prob.sum())
    sure = torch.arange(batch.num_nodes) % 2 == 0

    class Teacher(torch.nn.Module):
        def forward(self, graph: Batch, jaw: Tensor) -> Tensor:
            prob = torch.full((sure.numel(), 33), 0.01)
            prob[:, 5] = torch.where(sure, 0.95, 0.5)
            return prob.log()

    task.teacher = Teacher()
    before = batch.y.clone()
    task.loss(batch)
    known = before != UNKNOWN
    assert known.any() and not known.all()
    assert torch.equal(asked[0][known], before[known]) and torch.equal(batch.y, before)
    assert torch.equal(asked[0][~known], torch.where(sure, 5, UNKNOWN)[~known])


def test_the_teacher_is_the_moving_average_and_the_result(scans: list[Scan], monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = made(scans[:1], MeanTeacher)
    assert isinstance(task, MeanTeacher) and all(not one.requires_grad for one in task.teacher.parameters())
    name, first = next((name, one.detach().clone()) for name, one in task.net.named_parameters())
    with torch.no_grad():
        task.net.get_parameter(name).add_(1.0)
    monkeypatch.setattr(FinetuneTask, "on_train_batch_end", lambda *args: None)
    task.on_train_batch_end(None, None, 0)
    assert torch.allclose(task.teacher.get_parameter(name), first + 0.01, atol=1e-6)
    task.sides = mixed(scans[:1], scans[1:])
    assert task.finish(lambda: False) and len(task.sides.train) == 2
    assert torch.equal(task.net.get_parameter(name), task.teacher.get_parameter(name))
