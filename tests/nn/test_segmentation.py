from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toothgraph.model import restrict_to_jaw
from toothgraph.nn import boundary_weights, segmentation_loss

CLASSES = 5
BATCH = torch.tensor([0] * 7 + [1] * 13)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def case(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randint(-1, CLASSES - 1, (20,))  # some unknown, the last class never there
    return torch.randn(20, CLASSES, dtype=dtype, requires_grad=True), target


def written_out(log_prob: Tensor, target: Tensor, batch: Tensor, dice_weight: float, smoothing: float) -> Tensor:
    per_scan = []
    for scan in batch.unique():
        rows = [n for n in range(len(target)) if batch[n] == scan and target[n] >= 0]
        if not rows:
            continue
        losses = [
            -(1 - smoothing) * log_prob[n, target[n]] - smoothing * log_prob[n].sum() / log_prob.shape[1] for n in rows
        ]
        dices = []
        for c in {int(target[n]) for n in rows}:
            prob = [log_prob[n, c].exp() for n in rows]
            overlap = sum(p for n, p in zip(rows, prob, strict=True) if target[n] == c)
            truth = sum(int(target[n]) == c for n in rows)
            dices.append((2 * overlap + 1) / (truth + sum(prob) + 1))
        per_scan.append(sum(losses) / len(losses) + dice_weight * (1 - sum(dices) / len(dices)))
    return sum(per_scan) / len(per_scan)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dice_weight", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("batch", [None, BATCH, BATCH.flip(0), 4 * BATCH])
def test_against_a_loop(dtype: torch.dtype, dice_weight: float, smoothing: float, batch: Tensor | None) -> None:
    x, target = case(dtype)
    scans = torch.zeros(20, dtype=torch.long) if batch is None else batch
    loss = segmentation_loss(x.log_softmax(1), target, batch, dice_weight=dice_weight, label_smoothing=smoothing)
    expected = written_out(x.log_softmax(1), target, scans, dice_weight, smoothing)
    tolerance = TOLERANCE[dtype]
    assert loss.dtype == dtype
    torch.testing.assert_close(loss, expected, atol=tolerance, rtol=tolerance)
    ours, theirs = torch.autograd.grad(loss, x), torch.autograd.grad(expected, x)
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def test_unknown_nodes_are_left_out() -> None:
    x, target = case()
    loss = segmentation_loss(x.log_softmax(1), target, BATCH)
    loss.backward()
    unknown = target < 0
    assert unknown.any() and x.grad is not None
    assert (x.grad[unknown] == 0).all()
    assert (x.grad[~unknown] != 0).any(dim=1).all()
    kept = segmentation_loss(x.log_softmax(1)[~unknown], target[~unknown], BATCH[~unknown])
    torch.testing.assert_close(kept, loss)


def test_a_scan_without_labels_weighs_nothing() -> None:
    x, target = case()
    target[BATCH == 0] = -1
    loss = segmentation_loss(x.log_softmax(1), target, BATCH)
    second = BATCH == 1
    torch.testing.assert_close(loss, segmentation_loss(x.log_softmax(1)[second], target[second]))


def test_nothing_known_costs_nothing() -> None:
    x, target = case()
    loss = segmentation_loss(x.log_softmax(1), torch.full_like(target, -1), BATCH, label_smoothing=0.1)
    assert float(loss.detach()) == 0
    loss.backward()
    assert x.grad is not None and (x.grad == 0).all()


@pytest.mark.parametrize("dice_weight", [0.0, 0.5])
def test_a_perfect_prediction_costs_next_to_nothing(dice_weight: float) -> None:
    _, target = case()
    logits = 50.0 * torch.nn.functional.one_hot(target.clamp_min(0), CLASSES).double()
    loss = segmentation_loss(logits.log_softmax(1), target, BATCH, dice_weight=dice_weight)
    assert 0 <= float(loss) < 1e-9


def test_each_scan_counts_alike_whatever_its_size() -> None:
    target = torch.zeros(20, dtype=torch.long)
    prob = torch.full((20, 2), 0.5)
    prob[BATCH == 1] = torch.tensor([0.25, 0.75])
    loss = segmentation_loss(prob.log(), target, BATCH, dice_weight=0.0)
    torch.testing.assert_close(loss, -(torch.tensor(0.5).log() + torch.tensor(0.25).log()) / 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_impossible_classes_give_no_nan(smoothing: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 33, requires_grad=True)
    log_prob = restrict_to_jaw(x.log_softmax(1), 0)  # -inf for the lower jaw
    loss = segmentation_loss(log_prob, torch.tensor([0, 1, 5, 16, -1, 2]), label_smoothing=smoothing)
    loss.backward()
    assert loss.isfinite()
    assert x.grad is not None and x.grad.isfinite().all()


def test_half_precision_predictions_are_summed_in_float32() -> None:
    torch.manual_seed(0)
    log_prob = (3 * torch.randn(5000, 3)).log_softmax(1).bfloat16()
    target = torch.randint(0, 3, (5000,))
    loss = segmentation_loss(log_prob, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, segmentation_loss(log_prob.float(), target))


def test_weights_count_as_repetitions() -> None:
    scores, target = case()
    log_prob = scores.log_softmax(dim=1)
    times = torch.randint(1, 4, (20,))
    again = torch.arange(20).repeat_interleave(times)
    weighted = segmentation_loss(log_prob, target, BATCH, dice_weight=0, weight=times.double())
    repeated = segmentation_loss(log_prob[again], target[again], BATCH[again], dice_weight=0)
    torch.testing.assert_close(weighted, repeated)
    alike = segmentation_loss(log_prob, target, BATCH, weight=torch.full((20,), 3.0))
    torch.testing.assert_close(alike, segmentation_loss(log_prob, target, BATCH))


def test_boundary_weights() -> None:
    target = torch.tensor([0, 0, 1, 1, -1, 2])
    chain = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])
    edges = torch.cat([chain, chain.flip(0)], dim=1)
    assert boundary_weights(target, edges, 2.0).tolist() == [1, 3, 3, 1, 1, 1]  # what is unknown makes no border
    assert boundary_weights(target, edges[:, :0], 2.0).tolist() == [1] * 6


def test_weights_of_zero_are_no_nan() -> None:
    log_prob = torch.randn(8, 3).log_softmax(dim=1).requires_grad_()
    target, batch = torch.zeros(8, dtype=torch.long), torch.arange(2).repeat_interleave(4)
    nothing = segmentation_loss(log_prob, target, weight=torch.zeros(8), dice_weight=0.0)
    nothing.backward()
    assert nothing == 0 and log_prob.grad is not None and (log_prob.grad == 0).all()
    half = segmentation_loss(log_prob, target, batch, weight=torch.tensor([0.0] * 4 + [2.0] * 4), dice_weight=0.0)
    torch.testing.assert_close(2 * half, segmentation_loss(log_prob[4:], target[4:], dice_weight=0.0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_node_of_weight_zero_may_have_an_impossible_class(smoothing: float) -> None:
    log_prob = torch.randn(6, 3)
    log_prob[4, 2] = -torch.inf
    log_prob = log_prob.log_softmax(dim=1).requires_grad_()
    target, weight = torch.tensor([0, 1, 0, 1, 2, 0]), torch.tensor([1.0, 1, 1, 1, 0, 1])
    found = segmentation_loss(log_prob, target, weight=weight, dice_weight=0.0, label_smoothing=smoothing)
    kept = weight > 0
    expected = segmentation_loss(log_prob[kept], target[kept], dice_weight=0.0, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    (grad,) = torch.autograd.grad(found, log_prob)
    assert (grad[4] == 0).all() and grad.isfinite().all()
    assert segmentation_loss(log_prob, target, weight=torch.zeros(6), dice_weight=0.0) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_weights_of_any_type_weigh_alike(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    log_prob, target = torch.randn(3000, CLASSES).log_softmax(dim=1), torch.randint(CLASSES, (3000,))
    equal = segmentation_loss(log_prob, target)
    assert torch.allclose(segmentation_loss(log_prob, target, weight=torch.ones(3000, dtype=dtype)), equal)


def test_smoothing_pulls_back_a_net_that_is_too_sure() -> None:
    log_prob = torch.tensor([[-50.0, 0.0], [0.0, -30.0]], dtype=torch.float64).log_softmax(1).requires_grad_()
    target = torch.tensor([1, 0])
    loss = segmentation_loss(log_prob, target, dice_weight=0.0, label_smoothing=0.1)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(log_prob, target, label_smoothing=0.1))
    (grad,) = torch.autograd.grad(loss, log_prob)
    assert (grad < 0).all()
