"""Objectives of pre-training: what they see, what they ask for, and the section that compares them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch_geometric.data import Batch, Data

from benchmarks.pages import objectives as page
from benchmarks.studies import pretraining_tasks
from benchmarks.studies.pretraining_tasks import (
    OBJECTIVES,
    Masked,
    Prototypes,
    balanced,
    bends,
    hidden_patches,
    pieces,
)
from toothgraph.data import prepare_scan
from toothgraph.data.loading import ViewPairs, collate_pairs
from toothgraph.data.scan import Scan, without_labels
from toothgraph.model.file import make_net
from toothgraph.model.nets import ContrastiveNet
from toothgraph.synthetic import synthetic_arch
from toothgraph.system import provenance
from toothgraph.training.config import PRETRAIN_PRESETS
from toothgraph.training.pretrain import PretrainTask

CONFIG = PRETRAIN_PRESETS["default"]
CONFIG = replace(CONFIG, net=replace(CONFIG.net, graph=replace(CONFIG.net.graph, faces=1500)))
K = CONFIG.net.graph.k


@pytest.fixture(scope="module")
def scans() -> list[Scan]:
    return [prepare_scan(synthetic_arch(seed, jaw=seed, faces=4000), CONFIG.net.graph, 2, 0) for seed in (0, 1)]


@pytest.fixture(scope="module")
def make(scans: list[Scan]) -> Callable[[type[PretrainTask]], tuple[PretrainTask, Batch]]:
    views = ViewPairs([without_labels(scan) for scan in scans], 0, CONFIG.views)
    batch = collate_pairs([views[0, 0], views[0, 1]])

    def made(objective: type[PretrainTask]) -> tuple[PretrainTask, Batch]:
        torch.manual_seed(0)
        return objective(make_net(ContrastiveNet, CONFIG.net), CONFIG, views, views, collate_pairs), batch

    return made


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_teaches_the_backbone(name: str, make: Callable[..., Any]) -> None:
    task, batch = make(OBJECTIVES[name])
    plain = make(PretrainTask)[0].loss(batch)
    optimizer = torch.optim.AdamW(task.net.parameters(), 2e-3)
    losses = []
    for _ in range(4):
        torch.manual_seed(1)  # the same patches are hidden
        loss = task.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        assert all(
            parameter.grad is not None and parameter.grad.isfinite().all()
            for parameter in task.net.backbone.parameters()
        )
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] and losses[0] != pytest.approx(float(plain.detach()))


class Elsewhere:
    """torch, with its makers of tensors on another device by default, as the CPU is beside a batch on a GPU."""

    def __getattr__(self, name: str) -> Any:
        made = getattr(torch, name)
        return partial(made, device="meta") if name in ("arange", "rand") else made


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_computes_where_its_batch_is(
    name: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, batch = make(OBJECTIVES[name])
    monkeypatch.setattr(pretraining_tasks, "torch", Elsewhere())
    assert task.loss(batch).isfinite()
    if torch.cuda.is_available():
        assert task.to("cuda").loss(batch.clone().to("cuda")).isfinite()


def test_prototypes_get_equally_many_points() -> None:
    torch.manual_seed(0)
    near = torch.nn.functional.normalize(torch.randn(500, 16), dim=1) @ torch.eye(16)
    near[:, 0] += 0.6  # nearly all points are nearest to the first
    shares = balanced(near)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(500))
    assert float(torch.softmax(near / 0.05, dim=1).sum(dim=0)[0]) > 200
    assert float(shares.sum(dim=0).max()) < 1.5 * 500 / 16


def test_guessing_all_prototypes_alike_costs_the_logarithm_of_their_number(make: Callable[..., Any]) -> None:
    task, batch = make(Prototypes)
    added = task.loss(batch) - make(PretrainTask)[0].loss(batch)
    assert 0 < float(added.detach()) < 1.5 * math.log(Prototypes.COUNT)


def test_pieces_end_at_folds(scans: list[Scan]) -> None:
    graph = scans[0].variants[0]
    piece = pieces(graph)
    assert len(piece) == graph.num_nodes and len(piece.unique()) == int(piece.max()) + 1
    assert purity(piece, graph) > 0.9 > 0.8 > purity(pieces(graph, crease=1e9), graph)
    source, target = graph.edge_index
    inside = piece[source] == piece[target]
    bent = (graph.normal[source] * graph.normal[target]).sum(dim=1)
    assert bent[~inside].mean() < bent[inside].mean()


def purity(piece: torch.Tensor, graph: Data) -> float:
    """Share of the tooth faces whose piece is mostly of their tooth."""
    table = torch.zeros(int(piece.max()) + 1, 33)
    table.index_put_((piece, graph.y), torch.ones(len(piece)), accumulate=True)
    right = table.argmax(dim=1)[piece] == graph.y
    return float(right[graph.y > 0].float().mean())


def test_a_hidden_face_is_seen_by_nobody(make: Callable[..., Any]) -> None:
    task, batch = make(Masked)
    task.net.eval()
    torch.manual_seed(0)
    hidden = hidden_patches(batch, K, Masked.SHARE)
    assert 0.4 < float(hidden.float().mean()) < 0.8
    before = task._embedding(batch, hidden)
    moved = batch.clone()
    moved.pos = batch.pos + hidden[:, None] * torch.randn_like(batch.pos)
    moved.normal = torch.where(hidden[:, None], -batch.normal, batch.normal)
    torch.testing.assert_close(task._embedding(moved, hidden), before)
    assert not torch.allclose(task._embedding(moved, ~hidden), task._embedding(batch, ~hidden))
    torch.testing.assert_close(
        task._embedding(batch, torch.zeros_like(hidden)), task.net.backbone(batch), rtol=1e-4, atol=1e-5
    )


def test_hidden_patches_are_large(make: Callable[..., Any]) -> None:
    _, batch = make(Masked)
    hidden = hidden_patches(batch, K, 0.6)
    source, target = batch.edge_index
    assert float((hidden[source] == hidden[target]).float().mean()) > 0.7  # 0.52, if faces were hidden one by one


def test_bends_do_not_depend_on_the_pose() -> None:
    angle = torch.linspace(0, 2 * math.pi, 13)[:-1]
    ring = torch.stack([angle.cos(), angle.sin(), torch.zeros(12)], dim=1)
    pos = torch.cat([torch.zeros(1, 3), ring - torch.tensor([0, 0, 0.5])])
    normal = torch.tensor([[0.0, 0, 1]]).repeat(13, 1)
    table = torch.zeros(12, 13, dtype=torch.int32)
    table[:, 0] = torch.arange(1, 13)
    graph = Data(pos=pos, normal=normal, neighbor_index=table)
    found = bends(graph, 12)
    assert found[0].tolist() == pytest.approx([-0.5 / math.sqrt(1.25), 1.0])  # convex: they lie below its plane
    turn = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    turned = Data(pos=pos @ turn + 3, normal=normal @ turn, neighbor_index=table)
    torch.testing.assert_close(bends(turned, 12), found)


def row(mious: tuple[float, float], draw: int, **known: Any) -> dict[str, Any]:
    per_scan = [{"scan_id": f"{name}_upper", "miou": miou} for name, miou in zip("ab", mious, strict=True)]
    return {"draw": draw, "seed": 0, "labelled": [f"p{draw}"], "scores": {"miou": sum(mious) / 2},
            "per_scan": per_scan, "facts": provenance.facts(), **known}  # fmt: skip


def test_the_section_tells_what_is_better_by_more_than_its_spread() -> None:
    few = [
        row((0.5, 0.7), draw, arm=arm, patients=1, protocol="short")
        for arm in ("scratch", "pretrained")
        for draw in (0, 1, 2)
    ]
    shot = [
        {"pretrained": kind, "patient": f"p{draw}", "miou": 0.1 + 0.2 * kind} for kind in (False, True)
        for draw in (0, 1, 2)
    ]  # fmt: skip
    rows = [
        *(row((0.7, 0.8), draw, objective="prototypes", nearest={"miou": 0.5}) for draw in (0, 1)),
        *(row((0.5 + 0.2 * draw, 0.6), draw, objective="crowns", nearest={"miou": 0.4}) for draw in (0, 1)),
        row((0.1, 0.1), 0, objective="masked", nearest={"miou": 0.2}),
    ]
    text = page.objectives(rows, few, shot)
    # not p2: no objective was run there
    assert "| pre-trained by | labelled: p0 | labelled: p1 | nearest face, labelled: p0 |" in text
    assert "| none (from scratch) | 0.600 | 0.600 | 0.100 | +0.0 (+0.0 to +0.0) |" in text
    assert "| InfoNCE alone | 0.600 | 0.600 | 0.300 | – |" in text
    assert "| InfoNCE and prototypes | 0.750 | 0.750 | 0.500 | +15.0 (" in text
    assert "| hidden surface, no InfoNCE | 0.100 | – | 0.200 | -50.0 (one draw) |" in text.replace("−", "-")
    words = " ".join(text.split())
    assert "by InfoNCE and prototypes is better than by InfoNCE alone" in words
    assert "Worse by" not in words
    assert "Run with one draw, which is too few to tell: hidden surface, no InfoNCE." in words
    worse = [*rows, row((0.1, 0.1), 1, objective="masked", nearest={"miou": 0.2})][2:]
    words = " ".join(page.objectives(worse, few, shot).split())
    assert "no objective of pre-training that was run with several draws is better" in words
    assert "Worse by more than that: hidden surface, no InfoNCE." in words and "- Prototypes" not in words
    words = " ".join(page.objectives(rows[-1:], few, shot).split())
    assert "With one labelled patient, each other objective of pre-training was run with one draw" in words
