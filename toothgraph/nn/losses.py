"""Losses: InfoNCE for pre-training; cross-entropy with soft Dice for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.errors import ConfigError, ShapeError, check_number
from toothgraph.nn.checks import LOOKED_AT, check_device, check_index, check_nodes, check_rows, checked_edges, described
from toothgraph.nn.kernels.info_nce import pair_losses
from toothgraph.nn.kernels.neighborhoods import _on_cpu
from toothgraph.nn.kernels.precision import full_precision

NUM_CLASSES = 33  # of tooth segmentation: gingiva and 32 teeth
NOT_ONE = 0.1  # |log of the sum| of probabilities that no rounding explains, in half precision either


def _check_options(temperature: float, negatives: str, exclude_radius: float) -> None:
    """Check the options of :func:`info_nce`; raises ConfigError."""
    if negatives not in ("scan", "batch"):
        raise ConfigError(f'expected negatives "scan" or "batch", got {negatives!r}')
    check_number("temperature", temperature, above=0)
    check_number("exclude_radius (mm)", exclude_radius, least=0)


def _check_pairs(a: Tensor, b: Tensor, batch: Tensor | None, pos: Tensor | None, exclude_radius: float) -> None:
    """Check the tensors of :func:`info_nce`; raises ShapeError or ConfigError."""
    for name, view in (("a", a), ("b", b)):
        if not isinstance(view, Tensor) or not view.is_floating_point():
            raise ShapeError(f"info_nce needs {name} [P, D] of floating-point numbers, got {described(view)}")
    if a.shape != b.shape or a.dim() != 2 or len(a) == 0:
        raise ShapeError(
            f"info_nce needs two non-empty [P, D] tensors of equal shape, got {tuple(a.shape)}, {tuple(b.shape)}"
        )
    if exclude_radius > 0 and pos is None:
        raise ConfigError("exclude_radius needs pos, the surface point of each pair, got none")
    for name, given in (("batch", batch), ("pos", pos)):
        if given is not None and (not isinstance(given, Tensor) or given.dim() == 0 or len(given) != len(a)):
            if not isinstance(given, Tensor) or given.dim() == 0:
                raise ShapeError(f"info_nce needs {name} as a tensor, one row per pair, got {described(given)}")
            raise ShapeError(f"info_nce needs one row of {name} per pair, got {len(given)} for {len(a)} pairs")
    if batch is not None:
        check_rows("batch", batch, len(a), "pair")
    if pos is not None:
        check_nodes(pos, 3, "pos")
    check_device(a, "a", b=b, batch=batch, pos=pos)


def info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: float = 0.07,
    normalize: bool = True,
    symmetric: bool = True,
    batch: Tensor | None = None,
    negatives: str = "scan",
    pos: Tensor | None = None,
    exclude_radius: float = 0.0,
    block: int | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    r"""InfoNCE loss over matched nodes (PointInfoNCE).

    .. math:: L = -\frac1P \sum_i \log \frac{\exp(a_i·b_i/T)}{\sum_{j \in C(i)} \exp(a_i·b_j/T)}

    C(i) is i and its negatives. Rows are averaged per scan, then over scans. Similarities are computed in blocks, once
    for both directions, and again in the backward pass; so memory grows with P, not with P². Only a second derivative
    needs P².

    Sources: van den Oord et al., 2018, https://arxiv.org/abs/1807.03748; Xie et al., ECCV 2020, eq. 3,
    https://doi.org/10.1007/978-3-030-58580-8_34

    Args:
        a: [P, D] embeddings of the first view.
        b: [P, D] embeddings of the second view; row i matches row i of ``a``.
        temperature: T.
        normalize: first scale embeddings to unit length.
        symmetric: also match b against a, and average both directions.
        batch: [P] scan of each pair; one scan by default.
        negatives: ``"scan"`` (only pairs of the same scan) or ``"batch"`` (all pairs).
        pos: [P, 3] surface point of each pair in the frame of its scan, mm; needed for ``exclude_radius``.
        exclude_radius: mm; closer pairs of the same scan are not negatives.
        block: rows per block; by default a size that suits the device.
        sizes: in place of ``batch``, how many pairs each scan has, where those of a scan follow each other; so no GPU
            need be asked for them.

    Returns:
        scalar, float32 also under autocast (float64 for float64 input).

    Raises:
        ShapeError: without pairs, or if shapes do not match.
        ConfigError: for an invalid option.

    Example:
        >>> views = torch.eye(4)  # four points, each of which finds itself
        >>> info_nce(views, views).item() < info_nce(views, views.flip(0)).item()
        True
    """
    _check_options(temperature, negatives, exclude_radius)
    _check_pairs(a, b, batch, pos, exclude_radius)
    if sizes is not None and (batch is not None or sum(sizes) != len(a) or min(sizes) < 0):
        raise ConfigError(
            f"expected sizes, pairs per scan, of {len(a)} pairs in all, and no batch, got {list(sizes)}"
            + ("" if batch is None else " and a batch")
        )
    scan, parts, count = _scans(a, batch, sizes)
    size = torch.zeros(count, dtype=torch.long, device=a.device).index_add(0, scan, torch.ones_like(scan))
    if negatives == "batch":
        parts = [slice(0, len(a))]

    with full_precision(a):
        dtype = torch.promote_types(a.dtype, torch.float32)
        a, b = a.to(dtype), b.to(dtype)
        weight = (size[scan] * count).to(dtype).reciprocal()  # [P]: equal weight for each scan
        if normalize:
            a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
        total = a.new_zeros(())
        for part in parts:
            losses = pair_losses(
                a[part] / temperature, b[part], scan=scan[part], pos=None if pos is None else pos[part],
                radius=exclude_radius, symmetric=symmetric, block=block,
            )  # fmt: skip
            total = total + (weight[part] * losses).sum()
        return total


def _scans(a: Tensor, batch: Tensor | None, sizes: Sequence[int] | None) -> tuple[Tensor, list[Any], int]:
    """The number of each pair's scan [P], from 0; the pairs of each scan; how many scans there are."""
    if sizes is None and batch is not None:
        ids, scan = torch.unique(batch, return_inverse=True)
        return scan, [torch.nonzero(scan == number).squeeze(1) for number in range(len(ids))], len(ids)
    sizes = [len(a)] if sizes is None else [size for size in sizes if size]
    ends = list(accumulate(sizes))
    scan = torch.zeros(len(a), dtype=torch.long, device=a.device)
    for end in ends[:-1]:
        scan[end:] += 1
    return scan, [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)], len(sizes)


class InfoNCE(nn.Module):
    """:func:`info_nce` as a module with fixed options; shapes and errors as there.

    Example, on two views of a scan, here with their positions in the place of a net's embeddings:
        >>> from toothgraph import face_graph, synthetic_arch
        >>> from toothgraph.transforms import TwoViews
        >>> a, b = TwoViews(rng=0)(face_graph(synthetic_arch(1, jaw=0, faces=2000)))
        >>> loss = InfoNCE(exclude_radius=1.5)(a.x[a.match_index], b.x[b.match_index], pos=a.match_pos)
        >>> loss.shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float = 0.07,
        normalize: bool = True,
        symmetric: bool = True,
        negatives: str = "scan",
        exclude_radius: float = 0.0,
    ) -> None:
        super().__init__()
        _check_options(temperature, negatives, exclude_radius)
        self.temperature, self.normalize, self.symmetric = temperature, normalize, symmetric
        self.negatives, self.exclude_radius = negatives, exclude_radius

    def forward(self, a: Tensor, b: Tensor, batch: Tensor | None = None, pos: Tensor | None = None) -> Tensor:
        return info_nce(
            a,
            b,
            temperature=self.temperature,
            normalize=self.normalize,
            symmetric=self.symmetric,
            negatives=self.negatives,
            exclude_radius=self.exclude_radius,
            batch=batch,
            pos=pos,
        )

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, negatives={self.negatives}, exclude_radius={self.exclude_radius}"


@torch.no_grad()
def match_top1(a: Tensor, b: Tensor, targets: Tensor, block: int = 1024) -> Tensor:
    """Top-1 accuracy of matching: the share of anchors for which the most similar candidate is the partner.

    Args:
        a: [P, D] anchors.
        b: [Q, D] candidates.
        targets: [P] index of the partner of each anchor among the candidates; -1 for none, which counts as wrong.
        block: anchors per step.

    Returns:
        scalar float32.

    Raises:
        ShapeError: without anchors or candidates, for other shapes, and, on a CPU, for partners that are not there.
    """
    check_nodes(a, None, "a")
    check_nodes(b, a.shape[1], "b")
    check_rows("targets", targets, len(a), "anchor", whole=True)
    if len(a) == 0:
        raise ShapeError("match_top1 needs anchors, got none")
    if len(b) == 0:
        raise ShapeError("match_top1 needs candidates, got none")
    check_device(a, "a", b=b, targets=targets)
    check_index("targets", torch.where(targets == -1, 0, targets), len(b), what="candidates")
    a, b = F.normalize(a.float(), dim=1), F.normalize(b.float(), dim=1)
    with full_precision(a):  # rounding would make similar candidates equal
        best = [(a[first : first + block] @ b.t()).argmax(dim=1) for first in range(0, len(a), block)]
    return (torch.cat(best) == targets).float().mean()


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

    Dice is computed on probabilities, per scan, over the classes in its ground truth.

    Source: Milletari et al., 3DV 2016, https://doi.org/10.1109/3DV.2016.79

    Args:
        log_prob: [N, C] log-probabilities.
        target: [N] class indices; nodes with -1 are ignored.
        batch: [N] scan of each node; one scan by default.
        dice_weight: weight of 1 − Dice.
        label_smoothing: share of the cross-entropy that is spread evenly over all classes.
        weight: [N] weight of each node in the cross-entropy, at least 0, see :func:`boundary_weights`; equal by
            default. A scan whose weights are all 0 has a cross-entropy of 0.
        num_scans: scans in ``batch``, which are then 0 … num_scans - 1; so no GPU need be asked for them.

    Returns:
        scalar, float32 also for half precision. Zero, with zero gradients, if no node is labelled.

    Raises:
        ConfigError: for an option outside of its range.
        ShapeError: if shapes do not match; on a CPU also for a class that is not there, or if ``log_prob`` are no
            log-probabilities.
    """
    _check_labels(log_prob, target, batch, weight)
    check_number("dice_weight", dice_weight, least=0)
    check_number("label_smoothing", label_smoothing, least=0)
    if label_smoothing >= 1:
        raise ConfigError(f"expected a label_smoothing below 1, got {label_smoothing:g}")
    batch = torch.zeros_like(target) if batch is None else batch
    known = target >= 0
    log_prob = log_prob.to(torch.promote_types(log_prob.dtype, torch.float32))  # half precision is too coarse for sums
    weight = torch.ones_like(target, dtype=log_prob.dtype) if weight is None else weight
    if _on_cpu(log_prob):  # fewer rows are less work
        log_prob, target, batch, weight, known = (part[known] for part in (log_prob, target, batch, weight, known))
    else:  # to count them would be to wait for the device
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
    """The loss of the nodes that are ``known``, of ``size`` scans, some of them perhaps without such nodes."""
    classes = log_prob.shape[1]
    cell = scan * classes + target
    truth = known.new_zeros(size * classes, dtype=torch.long).index_add(0, cell, known.long()).view(size, classes)
    labelled = truth.sum(dim=1) > 0  # [B]
    num_labelled = labelled.sum().clamp_min(1)
    total = weight.new_zeros(size).index_add(0, scan, weight)

    picked = log_prob.gather(1, target[:, None]).squeeze(1)
    if label_smoothing > 0:
        picked = (1 - label_smoothing) * picked + label_smoothing * log_prob.clamp_min(-20).mean(dim=1)
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
            f"{high}; toothgraph.fdi.fdi_to_class makes classes of FDI numbers, and labels of your own need "
            "MirrorArch(exchange=False): else it makes other classes of them"
        )
    if classes == NUM_CLASSES and _seem_fdi(target):
        raise ShapeError(
            "expected target of classes, of which 1 to 16 are the upper and 17 to 32 the lower jaw, got only 11 to 18 "
            "and 21 to 28, as FDI numbers of an upper jaw; toothgraph.fdi.fdi_to_class makes classes of them"
        )
    some = log_prob.detach()[:LOOKED_AT][target[:LOOKED_AT] >= 0].float().logsumexp(dim=1)
    if bool((some.abs() > NOT_ONE).any()):
        raise ShapeError(
            "expected log-probabilities, whose exponentials sum to 1, got other numbers; for logits, call "
            "log_softmax(dim=1) first"
        )


def _seem_fdi(target: Tensor) -> bool:
    """Whether all known teeth have numbers that the FDI gives to upper teeth, many on both sides."""
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
        ShapeError: for other shapes and, on a CPU, edges to nodes that are not there.
        ConfigError: if ``extra`` is no finite number.
    """
    if not isinstance(target, Tensor) or target.dim() != 1:
        raise ShapeError(f"expected target [N], one value per node, got {described(target)}")
    check_number("extra", extra)
    source, end = checked_edges(edge_index, len(target), len(target))
    check_device(target, "target", edge_index=source)
    border = (target[source] != target[end]) & (target[source] >= 0) & (target[end] >= 0)
    at_border = torch.zeros(len(target), dtype=torch.long, device=target.device).index_add(0, source, border.long()) > 0
    return torch.where(at_border, 1.0 + extra, 1.0)
