from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn import InfoNCE, info_nce, match_top1

SCAN = torch.tensor([0] * 5 + [1] * 12)  # two scans of different size
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def pairs(dtype: torch.dtype = torch.float64, n: int = 17, width: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    a = torch.randn(n, width, dtype=dtype)
    return a, a + 0.7 * torch.randn(n, width, dtype=dtype)


def surface_points(n: int = 17) -> Tensor:
    return 3 * torch.rand(n, 3, generator=torch.Generator().manual_seed(1))


def written_out(
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
) -> Tensor:
    """The formula, one pair at a time."""
    scan = [0] * len(a) if batch is None else batch.tolist()
    if normalize:
        a, b = (torch.stack([row / row.norm() for row in rows]) for rows in (a, b))
    directions = [(a, b), (b, a)] if symmetric else [(a, b)]
    total = a.new_zeros(())
    for x, y in directions:
        per_scan: dict[int, list[Tensor]] = {}
        for i in range(len(x)):
            own = torch.dot(x[i], y[i]) / temperature
            terms = [own]
            for j in range(len(y)):
                same = scan[i] == scan[j]
                if j == i or (negatives == "scan" and not same):
                    continue
                if exclude_radius and same and pos is not None and (pos[i] - pos[j]).norm() < exclude_radius:
                    continue
                terms.append(torch.dot(x[i], y[j]) / temperature)
            per_scan.setdefault(scan[i], []).append(torch.logsumexp(torch.stack(terms), 0) - own)
        means = [torch.stack(losses).mean() for losses in per_scan.values()]
        total = total + torch.stack(means).mean() / len(directions)
    return total


OPTIONS: list[dict[str, Any]] = [
    {},
    {"symmetric": False},
    {"normalize": False, "temperature": 1.0},
    {"temperature": 0.5, "batch": SCAN},
    {"batch": SCAN, "negatives": "batch"},
    {"batch": SCAN, "negatives": "batch", "symmetric": False, "temperature": 0.2},
    {"pos": surface_points(), "exclude_radius": 1.5},
    {"pos": surface_points(), "exclude_radius": 1.5, "batch": SCAN},
    {"pos": surface_points(), "exclude_radius": 1.5, "batch": SCAN, "negatives": "batch"},
    {"pos": surface_points()},
    {"batch": SCAN + 3},
    {"batch": SCAN.flip(0), "negatives": "batch"},
    {"batch": torch.arange(17) % 2},
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("block", [4, 1024])
def test_against_a_written_out_double_loop(dtype: torch.dtype, options: dict[str, Any], block: int) -> None:
    a, b = pairs(dtype)
    a.requires_grad_()
    b.requires_grad_()
    loss, expected = info_nce(a, b, block=block, **options), written_out(a, b, **options)
    tolerance = TOLERANCE[dtype]
    assert loss.dtype == dtype and loss.shape == ()
    torch.testing.assert_close(loss, expected, atol=tolerance, rtol=tolerance)
    ours, theirs = torch.autograd.grad(loss, (a, b)), torch.autograd.grad(expected, (a, b))
    torch.testing.assert_close(ours, theirs, atol=10 * tolerance, rtol=10 * tolerance)


def test_the_radius_does_leave_out_and_the_options_do_matter() -> None:
    a, b = pairs()
    losses = [float(info_nce(a, b, **options)) for options in OPTIONS[:9]]
    assert len({round(loss, 9) for loss in losses}) == 9


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_identical_embeddings_cost_the_log_of_the_candidates(dtype: torch.dtype) -> None:
    a = torch.ones(17, 4, dtype=dtype)
    tolerance = {"abs": 10 * TOLERANCE[dtype]}
    assert float(info_nce(a, a)) == pytest.approx(math.log(17), **tolerance)
    assert float(info_nce(a, a, batch=SCAN)) == pytest.approx((math.log(5) + math.log(12)) / 2, **tolerance)
    everyone = info_nce(a, a, batch=SCAN, negatives="batch")
    assert float(everyone) == pytest.approx(math.log(17), **tolerance)
    same_place = torch.zeros(17, 3)
    assert float(info_nce(a, a, pos=same_place, exclude_radius=1.0)) == pytest.approx(0, **tolerance)
    elsewhere = info_nce(a, a, pos=same_place, exclude_radius=1.0, batch=SCAN, negatives="batch")
    assert float(elsewhere) == pytest.approx((math.log(13) + math.log(6)) / 2, **tolerance)


@pytest.mark.parametrize("block", [1, 2, 3, 16, 17, 18])
def test_the_block_does_not_matter(block: int) -> None:
    a, b = pairs()
    expected = info_nce(a, b, batch=SCAN, pos=surface_points(), exclude_radius=1.0)
    loss = info_nce(a, b, batch=SCAN, pos=surface_points(), exclude_radius=1.0, block=block)
    torch.testing.assert_close(loss, expected, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("block", [1, 7, 60, None])
@pytest.mark.parametrize("negatives", ["scan", "batch"])
def test_near_pairs_are_found_along_a_whole_arch(block: int | None, negatives: str) -> None:
    a, b = pairs(n=60)
    pos = torch.tensor([60.0, 3.0, 1.0]) * torch.rand(60, 3, generator=torch.Generator().manual_seed(2)) - 500
    options: dict[str, Any] = {"batch": torch.arange(60) % 3, "negatives": negatives}
    near = options | {"pos": pos, "exclude_radius": 4.0}
    expected = written_out(a, b, **near)
    assert float(expected) < 0.999 * float(written_out(a, b, **options))
    torch.testing.assert_close(info_nce(a, b, block=block, **near), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("options", OPTIONS[:9])
def test_gradcheck(options: dict[str, Any]) -> None:
    a, b = (rows.requires_grad_() for rows in pairs(width=2))
    assert torch.autograd.gradcheck(lambda x, y: info_nce(x, y, block=5, **options), (a, b))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("normalized, factor", [(True, 1.0), (False, 100.0)])
def test_large_logits(autocast: bool, normalized: bool, factor: float) -> None:
    a, b = (factor * rows for rows in pairs(torch.float32))
    expected = written_out(a.double(), b.double(), temperature=0.001, normalize=normalized)
    a.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = info_nce(a, b, temperature=0.001, normalize=normalized)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-4)
    assert a.grad is not None and a.grad.isfinite().all()


def test_autocast_and_half_precision_embeddings_give_float32() -> None:
    a, b = pairs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(info_nce(a, b), info_nce(a, b))
        loss = info_nce(a, b)
    assert torch.equal(loss, info_nce(a, b))
    half = info_nce(a.bfloat16(), b.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, info_nce(a.bfloat16().float(), b.bfloat16().float()))


def test_memory_grows_with_pairs_not_with_their_square() -> None:
    n, block = 600, 32
    torch.manual_seed(0)
    a, b = torch.randn(n, 4, requires_grad=True), torch.randn(n, 4, requires_grad=True)
    saved: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = info_nce(a, b, pos=torch.rand(n, 3), exclude_radius=0.1, block=block)
    assert saved
    assert max(saved) < n * block  # not even one block of logits stays
    assert sum(saved) < n * n
    loss.backward()


@pytest.mark.parametrize(
    "a, b, options, error, message",
    [
        (torch.ones(3, 2), torch.ones(4, 2), {}, ShapeError, r"\(3, 2\), \(4, 2\)"),
        (torch.ones(0, 2), torch.ones(0, 2), {}, ShapeError, "non-empty"),
        (torch.ones(3), torch.ones(3), {}, ShapeError, r"\[P, D\]"),
        (torch.ones(3, 2), torch.ones(3, 2), {"negatives": "all"}, ConfigError, "'all'"),
        (torch.ones(3, 2), torch.ones(3, 2), {"exclude_radius": 1.0}, ConfigError, "needs pos"),
        (torch.ones(3, 2), torch.ones(3, 2), {"batch": torch.zeros(2, dtype=torch.long)}, ShapeError, "batch.*2 for 3"),
        (
            torch.ones(3, 2),
            torch.ones(3, 2),
            {"pos": torch.zeros(5, 3), "exclude_radius": 1.0},
            ShapeError,
            "pos.*5 for 3",
        ),
        (torch.ones(3, 2), torch.ones(4, 2), {}, ShapeError, r"ea\[a.match_index\], eb\[b.match_index\]"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": 0.0}, ConfigError, "temperature above 0"),
    ],
)
def test_what_does_not_fit_is_refused(a: Tensor, b: Tensor, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        info_nce(a, b, **options)


def test_sizes_in_place_of_a_batch() -> None:
    a, b = pairs()
    batch = torch.tensor([0] * 5 + [2] * 4 + [3] * 8)  # the scan 1 has no pairs
    for negatives in ("scan", "batch"):
        expected = info_nce(a, b, batch=batch, negatives=negatives)
        torch.testing.assert_close(info_nce(a, b, sizes=[5, 0, 4, 8], negatives=negatives), expected)
    for sizes in ([5, 11], [18, -1], [5.0, 12.0]):
        with pytest.raises(ConfigError, match="expected sizes, the number of pairs of each scan, with a sum of 17"):
            info_nce(a, b, sizes=sizes)
    with pytest.raises(ConfigError, match="and a batch"):
        info_nce(a, b, sizes=[5, 12], batch=SCAN)


def test_one_pair_costs_nothing() -> None:
    a, b = pairs(n=1)
    assert float(info_nce(a, b)) == 0


def test_the_module_keeps_its_options() -> None:
    a, b = pairs()
    pos = surface_points()
    options: dict[str, Any] = {"temperature": 0.3, "normalize": False, "symmetric": False}
    options |= {"negatives": "batch", "exclude_radius": 1.0}
    loss = InfoNCE(**options)
    assert torch.equal(loss(a, b, SCAN, pos), info_nce(a, b, batch=SCAN, pos=pos, **options))
    assert "temperature=0.3" in repr(loss)


def test_match_top1_by_hand() -> None:
    a = torch.tensor([[1.0, 0], [0, 5], [1, 1], [-1, 0]])
    b = torch.tensor([[0.0, 0.1], [9, 0], [2, 2.1], [-1, -1]])
    assert float(match_top1(a, b, torch.tensor([1, 0, 2, 3]))) == 1
    assert float(match_top1(a, b, torch.tensor([1, 1, 1, 3]), block=3)) == 0.5
    assert float(match_top1(a, b, torch.tensor([0, 1, -1, 0]))) == 0


def test_match_top1_tells_near_candidates_apart_under_autocast() -> None:
    torch.manual_seed(0)
    b = normalize(torch.tensor([[1.0, 0.5, 0.2]]) + 0.01 * torch.randn(50, 3), dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(match_top1(b, b, torch.arange(50))) == 1


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("radius", [0.0, 0.8])
def test_second_derivatives(symmetric: bool, radius: float) -> None:
    torch.manual_seed(0)
    a, b = (torch.randn(14, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    pos = torch.randn(14, 3)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return info_nce(a, b, temperature=0.5, symmetric=symmetric, pos=pos, exclude_radius=radius, block=5)

    assert torch.autograd.gradcheck(loss, (a, b)) and torch.autograd.gradgradcheck(loss, (a, b))


@pytest.mark.parametrize("radius", [2e4, 1e6])
def test_no_radius_reaches_another_scan(radius: float) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(8, 3), torch.randn(8, 3)
    batch = torch.arange(2).repeat_interleave(4)
    far = info_nce(a, b, batch=batch, negatives="batch", pos=torch.zeros(8, 3), exclude_radius=radius)
    near = info_nce(a, b, batch=batch, negatives="batch", pos=torch.zeros(8, 3), exclude_radius=2.0)
    assert far > 0.1 and torch.equal(far, near)


@pytest.mark.parametrize("block", [0, -1, 2.5])
def test_a_block_is_a_number_of_rows(block: Any) -> None:
    a, b = pairs()
    with pytest.raises(ConfigError, match="block of at least 1"):
        info_nce(a, b, block=block)
    with pytest.raises(ConfigError, match="block of at least 1"):
        match_top1(a, b, torch.arange(len(a)), block=block)
