"""Nets, losses and training steps on the pretended device: nothing is mixed, few waits, the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from toothgraph.data import Scan
from toothgraph.data.loading import LabelledGraphs, ViewPairs, collate, collate_pairs
from toothgraph.model import NetConfig, SegmentationNet
from toothgraph.model.nets import ContrastiveNet
from toothgraph.nn.pyramid import find_levels
from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS
from toothgraph.training.finetune import FinetuneTask
from toothgraph.training.optimizer import make_optimizer
from toothgraph.training.pretrain import PretrainTask
from toothgraph.training.task import Task, check_finite


def finetuning(scans: list[Scan], net: NetConfig) -> tuple[Task, Any]:
    config = replace(FINETUNE_PRESETS["default"], net=net, boundary_weight=1.0)
    graphs = LabelledGraphs(scans, net.graph, 0, config.augmentation, config.cuts, config.jaw_dropout)
    torch.manual_seed(0)
    task = FinetuneTask(SegmentationNet(net), config, graphs, graphs, collate)
    return task, collate([graphs[0, index] for index in range(2)])


def pretraining(scans: list[Scan], net: NetConfig) -> tuple[Task, Any]:
    config = replace(PRETRAIN_PRESETS["default"], net=net)
    pairs = ViewPairs(scans, 0, config.views)
    torch.manual_seed(0)
    task = PretrainTask(ContrastiveNet(net), config, pairs, pairs, collate_pairs)
    return task, collate_pairs([pairs[0, index] for index in range(2)])


def step(task: Task, batch: Any, optimizer: torch.optim.Optimizer) -> Tensor:
    """What Lightning does with a batch, and how the loss is watched."""
    torch.manual_seed(1)
    optimizer.zero_grad()
    tuned = isinstance(task, FinetuneTask)
    loss = task._loss(task.net(batch, batch.jaw), batch) if tuned else task.loss(batch)
    check_finite(loss, batch.scan_id)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(task.net.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


@pytest.mark.parametrize("kind", ["geometry", "paper"])
@pytest.mark.parametrize("make", [finetuning, pretraining])
def test_steps_are_those_of_the_cpu(
    pretended: Any, make: Callable[..., Any], kind: str, scans: list[Scan], tiny: NetConfig
) -> None:
    losses = []
    for device in (torch.device("cpu"), pretended.device):
        task, batch = make(scans, replace(tiny, kind=kind))
        task.net.to(device)
        batch = batch.to(device, non_blocking=True)
        optimizer = make_optimizer(task.net, task.config)
        pretended.waits.clear()
        losses.append([step(task, batch, optimizer) for _ in range(2)])
    if kind == "geometry":  # is the loss finite; in pre-training also where near pairs begin and end in each scan
        assert sum(pretended.waits.values()) <= (2 if make is finetuning else 6), pretended.waits
    torch.testing.assert_close(*([loss.cpu() for loss in each] for each in losses), rtol=5e-3, atol=1e-4)


def test_levels_are_those_of_the_cpu(pretended: Any, scans: list[Scan], tiny: NetConfig) -> None:
    batch = collate([scan.variants[0] for scan in scans])
    expected = find_levels(batch, tiny.graph.k, 4)
    there = batch.to(pretended.device, non_blocking=True)
    pretended.waits.clear()
    found = find_levels(there, tiny.graph.k, 4)
    assert not pretended.waits
    for name in ("nodes", "within", "own", "down", "up"):
        assert all(map(torch.equal, (part.cpu() for part in getattr(found, name)), getattr(expected, name)))


def test_levels_of_a_batch_that_was_cut_are_counted_anew(pretended: Any, scans: list[Scan], tiny: NetConfig) -> None:
    batch = collate([scan.variants[0] for scan in scans])
    half = batch.get_example(0)
    half.level_sizes = batch.level_sizes
    expected = find_levels(half, tiny.graph.k, 4)
    found = find_levels(half.to(pretended.device), tiny.graph.k, 4)
    assert [nodes.cpu().tolist() for nodes in found.nodes] == [nodes.tolist() for nodes in expected.nodes]


def test_levels_are_found_once(scans: list[Scan], tiny: NetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for module in ("nets", "backbone", "heads"):
        monkeypatch.setattr(
            f"toothgraph.model.{module}.find_levels", lambda *args: found.append(args) or find_levels(*args)
        )
    net, batch = SegmentationNet(tiny).eval(), collate([scan.variants[0] for scan in scans])
    expected = net(batch, batch.jaw)
    assert len(found) == 1
    torch.testing.assert_close(net.head(net.backbone(batch), batch, batch.jaw), expected, rtol=0, atol=0)
    assert len(found) == 3
    say = net.in_any_frame(batch, batch.jaw)
    torch.testing.assert_close(say(torch.eye(3)), say(torch.eye(3)), rtol=0, atol=0)
    assert len(found) == 4
