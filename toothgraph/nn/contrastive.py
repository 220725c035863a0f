"""InfoNCE loss for pre-training, and the accuracy of matching."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toothgraph.errors import ConfigError, ShapeError, check_number
from toothgraph.nn.checks import check_count, check_device, check_index, check_nodes, check_rows, described
from toothgraph.nn.kernels.info_nce import pair_losses
from toothgraph.nn.kernels.precision import full_precision


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
            f"info_nce needs two non-empty [P, D] tensors of equal shape, got {tuple(a.shape)}, {tuple(b.shape)}; "
            "of the embeddings of two views, take the rows that match: ea[a.match_index], eb[b.match_index]"
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

    C(i) contains i and the negatives of i. Losses are averaged per scan, then over scans. Similarities are computed in
    blocks, once for both directions, and computed again in the backward pass. So memory grows with P, not with P². Only
    a second derivative needs P².

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
        sizes: number of pairs of each scan, in place of ``batch``; the pairs of a scan must follow each other. With
            ``sizes``, nothing need be read back from a GPU.

    Returns:
        scalar, float32 also under autocast (float64 for float64 input).

    Raises:
        ShapeError: if there are no pairs, or if shapes do not match.
        ConfigError: for an invalid option.

    Example:
        >>> views = torch.eye(4)  # four points, each of which finds itself
        >>> info_nce(views, views).item() < info_nce(views, views.flip(0)).item()
        True
    """
    _check_options(temperature, negatives, exclude_radius)
    if block is not None:
        check_count("block", block)
    _check_pairs(a, b, batch, pos, exclude_radius)
    whole = sizes is None or all(isinstance(size, int) and size >= 0 for size in sizes)
    if sizes is not None and (batch is not None or not whole or sum(sizes) != len(a)):
        raise ConfigError(
            f"expected sizes, the number of pairs of each scan, with a sum of {len(a)}, and no batch, got {list(sizes)}"
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
    """The scan of each pair [P], numbered from 0; the pairs of each scan; the number of scans."""
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
    """:func:`info_nce` as a module with fixed options. Shapes are the same.

    Raises:
        ConfigError: for an invalid option.
        ShapeError: in a call without pairs, or if shapes do not match.

    Example, with two views of a scan; their features ``x`` take the place of the embeddings of a net:
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
        ShapeError: if there are no anchors or candidates, for other shapes and, on a CPU, for partners that do not
            exist.
        ConfigError: for a block below 1.

    Example:
        >>> round(match_top1(torch.eye(3), torch.eye(3), torch.tensor([0, 1, -1])).item(), 3)
        0.667
    """
    check_count("block", block)
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
