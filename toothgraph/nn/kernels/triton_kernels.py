"""Triton kernels for reductions over neighbourhoods, used by :mod:`toothgraph.nn.kernels.triton_ops`.

Each program has BLOCK_N nodes and BLOCK_C channels and loops over the neighbours of its nodes. So a row of ``x`` is
read as consecutive channels, and no edge is stored. Neighbours are not copied: ``along`` is the step in memory from one
neighbour of a node to its next, and ``across`` is the step from one node of a table to the next. Offsets are 64-bit,
because N·C may exceed 2^31. A neighbour outside 0..rows-1 is never read, and makes the result NaN. The exception is row
number ``rows``, which means no neighbour if NONE is true. Maxima and sums have the type ACC, float32 or float64.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024  # elements per program: eight per thread of four warps


@triton.jit
def _block(nodes, channels, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr):
    """Nodes [BLOCK_N], channels [1, BLOCK_C], their offsets, and which of them exist [BLOCK_N, BLOCK_C]."""
    node = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    channel = (tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C))[None, :]
    return node, channel, node[:, None] * channels + channel, (node < nodes)[:, None] & (channel < channels)


@triton.jit
def _bags(ends, node, nodes, across, DEGREE: tl.constexpr):
    """First neighbour and number of neighbours of each node, and the largest number. DEGREE is 0 if it varies."""
    if DEGREE > 0:
        first = node * across
        degree = tl.where(node < nodes, DEGREE, 0)
        longest = DEGREE
    else:
        first = tl.load(ends + node, mask=node < nodes, other=0).to(tl.int64)
        degree = tl.load(ends + node + 1, mask=node < nodes, other=0).to(tl.int64) - first
        longest = tl.max(degree, axis=0)
    return first, degree, longest


@triton.jit
def _is_lost(near, is_neighbor, rows, NONE: tl.constexpr):
    """Which neighbours [BLOCK_N, 1] do not exist; if NONE is true, row number ``rows`` is allowed."""
    last = rows + 1 if NONE else rows
    return is_neighbor & ((near < 0) | (near >= last))


@triton.jit
def maximum(
    x, source, ends, across, along, out, winner, rows, nodes, channels, NONE: tl.constexpr,
    DEGREE: tl.constexpr, ACC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Value and row of the largest neighbour (0 and -1 if none). NaN is largest; the first of equal values wins."""
    node, channel, at, exists = _block(nodes, channels, BLOCK_N, BLOCK_C)
    first, degree, longest = _bags(ends, node, nodes, across, DEGREE)
    best = tl.zeros((BLOCK_N, BLOCK_C), ACC)
    lost = tl.zeros((BLOCK_N, 1), tl.int1)
    row = tl.full((BLOCK_N, BLOCK_C), -1, tl.int32)
    for j in range(0, longest):
        near = tl.load(source + first, mask=j < degree, other=-1).to(tl.int64)[:, None]
        there = exists & (near >= 0) & (near < rows)
        value = tl.load(x + near * channels + channel, mask=there, other=0).to(ACC)
        better = there & ((row < 0) | (value > best) | ((value != value) & (best == best)))
        best = tl.where(better, value, best)
        row = tl.where(better, near.to(tl.int32), row)
        lost = lost | _is_lost(near, (j < degree)[:, None], rows, NONE)
        first += along
    best = tl.where(lost, float("nan"), best)
    tl.store(out + at, best, mask=exists)
    tl.store(winner + at, row, mask=exists)


@triton.jit
def maximum_backward(
    grad, winner, grad_x, nodes, channels, ACC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr
):
    """Add the gradient of each node to the row that won."""
    _, channel, at, exists = _block(nodes, channels, BLOCK_N, BLOCK_C)
    row = tl.load(winner + at, mask=exists, other=-1).to(tl.int64)
    won = exists & (row >= 0)
    value = tl.load(grad + at, mask=won, other=0).to(ACC)
    tl.atomic_add(grad_x + row * channels + channel, value, mask=won, sem="relaxed")


@triton.jit
def total(
    x, source, ends, across, along, out, rows, nodes, channels, MEAN: tl.constexpr,
    DEGREE: tl.constexpr, ACC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Sum or mean over the neighbours; 0 if none."""
    node, channel, at, exists = _block(nodes, channels, BLOCK_N, BLOCK_C)
    first, degree, longest = _bags(ends, node, nodes, across, DEGREE)
    value = tl.zeros((BLOCK_N, BLOCK_C), ACC)
    lost = tl.zeros((BLOCK_N, 1), tl.int1)
    for j in range(0, longest):
        near = tl.load(source + first, mask=j < degree, other=-1).to(tl.int64)[:, None]
        there = exists & (near >= 0) & (near < rows)
        value += tl.load(x + near * channels + channel, mask=there, other=0).to(ACC)
        lost = lost | _is_lost(near, (j < degree)[:, None], rows, False)
        first += along
    if MEAN:
        value = value / tl.maximum(degree, 1).to(ACC)[:, None]
    value = tl.where(lost, float("nan"), value)
    tl.store(out + at, value, mask=exists)


@triton.jit
def total_backward(
    grad, source, ends, across, along, grad_x, rows, nodes, channels, MEAN: tl.constexpr,
    DEGREE: tl.constexpr, ACC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Add the gradient of each node to all its neighbours."""
    node, channel, at, exists = _block(nodes, channels, BLOCK_N, BLOCK_C)
    first, degree, longest = _bags(ends, node, nodes, across, DEGREE)
    value = tl.load(grad + at, mask=exists, other=0).to(ACC)
    if MEAN:
        value = value / tl.maximum(degree, 1).to(ACC)[:, None]
    for j in range(0, longest):
        near = tl.load(source + first, mask=j < degree, other=-1).to(tl.int64)[:, None]
        there = exists & (near >= 0) & (near < rows)
        tl.atomic_add(grad_x + near * channels + channel, value, mask=there, sem="relaxed")
        first += along


def launch(
    kernel: triton.JITFunction, nodes: int, channels: int, dtype: torch.dtype, *args: object, **options: object
) -> None:
    """Run a kernel over all nodes and channels, on the device of its first argument."""
    if nodes == 0 or channels == 0:
        return
    block_c = min(triton.next_power_of_2(channels), 128)
    block_n = _BLOCK // block_c
    grid = (triton.cdiv(nodes, block_n), triton.cdiv(channels, block_c))
    acc = tl.float64 if dtype == torch.float64 else tl.float32
    first = args[0]
    assert isinstance(first, Tensor)
    with torch.cuda.device_of(first):  # Triton launches on the current device
        kernel[grid](*args, nodes, channels, ACC=acc, BLOCK_N=block_n, BLOCK_C=block_c, **options)
