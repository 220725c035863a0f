"""Cross-entropy with soft Dice for segmentation, and weights of nodes at borders."""

from __future__ import annotations

import torch
from torch import Tensor

from toothgraph.errors import ConfigError, ShapeError, check_number
from toothgraph.nn.checks import check_device, check_nodes, check_rows, checked_edges, described
from toothgraph.nn.kernels.neighborhoods import _on_cpu

NUM_CLASSES = 33  # of tooth segmentation: gingiva and 32 teeth
SUMMED = 256  # number of nodes whose probabilities are checked
IMPOSSIBLE = -20.0  # replaces a log-probability of -inf in a mean
NOT_ONE = 0.1  # a larger |log of the sum of probabilities| is no rounding, not even of half precision


def segmentation_loss(
    log_prob: Tensor,
    target: Tensor,
    batch: Tensor | None = None,
    *,
    dice_weight: float = 0.5,
    label_smoothing: float = 0.0,
    weight: Tensor | None = None,
    num_scans: int | None = None,
) -> Tensor:
    """Cross-entropy plus weighted soft Dice loss; each is averaged per scan, then over scans.

    Dice is computed on probabilities, per scan, over the classes in the ground truth of the scan.

    Source: Milletari et al., 3DV 2016, https://doi.org/10.1109/3DV.2016.79

    Args:
        log_prob: [N, C] log-probabilities.
        target: [N] class indices; nodes with -1 are ignored.
        batch: [N] scan of each node; one scan by default.
        dice_weight: weight of 1 − Dice.
        label_smoothing: share of the cross-entropy that is spread evenly over all classes, as in
            ``torch.nn.functional.cross_entropy``; in this share, a log-probability of -inf counts as -20.
        weight: [N] weight of each node in the cross-entropy, at least 0, see :func:`boundary_weights`; equal by
            default. A scan whose weights are all 0 has a cross-entropy of 0.
        num_scans: number of scans. With it, ``batch`` must number them 0 … num_scans - 1, and the number need not be
            read from a GPU.

    Returns:
        scalar, float32 also for half precision. Zero, with zero gradients, if no node is labelled.

    Raises:
        ConfigError: for an option outside of its range.
        ShapeError: if shapes do not match; on a CPU also for a class that does not exist, for a weight that is not a
            finite number of at least 0, or if ``log_prob`` are no log-probabilities.

    Example:
        >>> log_prob = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).log_softmax(dim=1)
        >>> right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
        >>> segmentation_loss(log_prob, right).item() < segmentation_loss(log_prob, wrong).item()
        True
    """
    _check_labels(log_prob, target, batch, weight)
    check_number("dice_weight", dice_weight, least=0)
    check_number("label_smoothing", label_smoothing, least=0)
    if label_smoothing >= 1:
        raise ConfigError(f"expected a label_smoothing below 1, got {label_smoothing:g}")
    batch = torch.zeros_like(target) if batch is None else batch
    known = target >= 0
    log_prob = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))  # half precision is too coarse for sums
    weight = torch.ones_like(target, dtype=log_prob.dtype) if weight is None else weight.to(log_prob.dtype)
    if _on_cpu(log_prob):  # fewer rows are less work
        log_prob, target, batch, weight, known = (part[known] for part in (log_prob, target, batch, weight, known))
    else:  # to select rows would be to wait for the device
        log_prob, weight = log_prob.masked_fill(~known[:, None], 0.0), weight * known
        target = target.clamp_min(0)
    if len(target) == 0:
        return log_prob.sum()
    if num_scans is None or _on_cpu(batch):
        scans, batch = torch.unique(batch, return_inverse=True)
        num_scans = len(scans)
    return _loss_of_known(log_prob, target, batch, weight, known, num_scans, dice_weight, label_smoothing)


def _loss_of_known(
    log_prob: Tensor, target: Tensor, scan: Tensor, weight: Tensor, known: Tensor, size: int,
    dice_weight: float, label_smoothing: float,
) -> Tensor:  # fmt: skip
    """The loss over the ``known`` nodes of ``size`` scans; a scan may have no known nodes."""
    classes = log_prob.shape[1]
    cell = scan * classes + target
    truth = known.new_zeros(size * classes, dtype=torch.long).index_add(0, cell, known.long()).view(size, classes)
    labelled = truth.sum(dim=1) > 0  # [B]
    num_labelled = labelled.sum().clamp_min(1)
    total = weight.new_zeros(size).index_add(0, scan, weight)

    picked = log_prob.gather(1, target[:, None]).squeeze(1)
    if label_smoothing > 0:
        spread = log_prob.masked_fill(log_prob.isneginf(), IMPOSSIBLE).mean(dim=1)
        picked = (1 - label_smoothing) * picked + label_smoothing * spread
    picked = picked.masked_fill(weight == 0, 0.0)  # where it is -inf, 0 times it would be NaN
    share = total[scan].clamp_min(torch.finfo(total.dtype).tiny)
    cross_entropy = -(weight * picked / share).sum() / num_labelled
    if dice_weight == 0:
        return cross_entropy

    prob = log_prob.exp() * known[:, None]
    overlap = prob.new_zeros(size * classes)
    overlap = overlap.index_add(0, cell, prob.gather(1, target[:, None]).squeeze(1)).view(size, classes)
    mass = prob.new_zeros(size, classes).index_add(0, scan, prob)
    dice = (2 * overlap + 1) / (truth + mass + 1)
    present = truth > 0
    per_scan = (dice * present).sum(dim=1) / present.sum(dim=1).clamp_min(1)
    return cross_entropy + dice_weight * ((1 - per_scan) * labelled).sum() / num_labelled


def _check_labels(log_prob: Tensor, target: Tensor, batch: Tensor | None, weight: Tensor | None) -> None:
    """Check the tensors of :func:`segmentation_loss`; raises ShapeError."""
    check_nodes(log_prob, None, "log_prob")
    nodes, classes = log_prob.shape
    check_rows("target", target, nodes, "node", whole=True)
    for name, given in (("batch", batch), ("weight", weight)):
        if given is not None:
            check_rows(name, given, nodes, "node")
    check_device(log_prob, "log_prob", target=target, batch=batch, weight=weight)
    if not _on_cpu(log_prob) or nodes == 0:
        return
    if weight is not None and not bool(((weight >= 0) & weight.isfinite()).all()):
        raise ShapeError("expected weight of finite numbers of at least 0, got others")
    low, high = (int(end) for end in torch.aminmax(target))
    if high >= classes:
        raise ShapeError(
            f"expected target from 0 to {classes - 1}, the classes of log_prob, or -1 for unknown, got {low} to "
            f"{high}; toothgraph.fdi.fdi_to_class makes classes of FDI numbers. Labels of your own need "
            "MirrorArch(exchange=False); without it, MirrorArch changes them as classes of teeth"
        )
    if classes == NUM_CLASSES and _seem_fdi(target):
        raise ShapeError(
            "expected target of classes, of which 1 to 16 are the upper and 17 to 32 the lower jaw, got only 11 to 18 "
            "and 21 to 28, as FDI numbers of an upper jaw; toothgraph.fdi.fdi_to_class makes classes of them"
        )
    some = log_prob.detach()[:SUMMED][target[:SUMMED] >= 0].float().logsumexp(dim=1)
    if bool((some.abs() > NOT_ONE).any()):
        raise ShapeError(
            "expected log-probabilities, whose exponentials sum to 1, got other numbers; for logits, call "
            "log_softmax(dim=1) first"
        )


def _seem_fdi(target: Tensor) -> bool:
    """Whether all known teeth have FDI numbers of upper teeth, with four or more different ones on both sides."""
    there = torch.bincount(target.clamp_min(0), minlength=NUM_CLASSES) > 0
    right, left = there[11:19], there[21:29]
    return int(there[1:].sum()) == int(right.sum() + left.sum()) and min(int(right.sum()), int(left.sum())) >= 4


def boundary_weights(target: Tensor, edge_index: Tensor, extra: float) -> Tensor:
    """Node weights: 1 + ``extra`` for nodes with a neighbour of another known class, 1 for all others.

    Args:
        target: [N] class indices; -1 unknown.
        edge_index: [2, E], both directions.
        extra: additional weight.

    Returns:
        [N] float32.

    Raises:
        ShapeError: for other shapes and, on a CPU, for edges to nodes that do not exist.
        ConfigError: if ``extra`` is not a finite number.

    Example:
        >>> row = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])  # four nodes, each beside the next
        >>> boundary_weights(torch.tensor([0, 0, 5, 5]), row, extra=2.0)
        tensor([1., 3., 3., 1.])
    """
    if not isinstance(target, Tensor) or target.dim() != 1:
        raise ShapeError(f"expected target [N], one value per node, got {described(target)}")
    check_number("extra", extra)
    source, end = checked_edges(edge_index, len(target), len(target))
    check_device(target, "target", edge_index=source)
    border = (target[source] != target[end]) & (target[source] >= 0) & (target[end] >= 0)
    at_border = torch.zeros(len(target), dtype=torch.long, device=target.device).index_add(0, source, border.long()) > 0
    return torch.where(at_border, 1.0 + extra, 1.0)
