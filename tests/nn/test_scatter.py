"""The backend of the extra ``scatter`` computes what torch alone computes."""

import importlib.util

import pytest
import torch

from toothgraph.errors import ConfigError
from toothgraph.nn import gather_max

INSTALLED = importlib.util.find_spec("torch_scatter") is not None
needs_scatter = pytest.mark.skipif(not INSTALLED, reason="needs torch-scatter: make test-scatter")


@needs_scatter
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("padded", [False, True])
def test_agrees_with_native(dtype: torch.dtype, padded: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 7, generator=generator, dtype=dtype)
    table = torch.randint(0, 51 if padded else 50, (6, 40), generator=generator)
    if padded:
        table[:, 3] = 50  # a node without any neighbour
    weight = torch.randn(40, 7, generator=generator, dtype=dtype)
    results = []
    for backend in ("native", "scatter"):
        leaf = x.clone().requires_grad_()
        out = gather_max(leaf, table, padded=padded, backend=backend)
        (out * weight).sum().backward()
        results.append((out.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])
    if padded:
        assert (results[1][0][3] == 0).all()


@needs_scatter
def test_repeated_neighbours_give_one_winner() -> None:
    x = torch.tensor([[1.0], [1.0], [0.0]], requires_grad=True)
    gather_max(x, torch.tensor([[0], [1], [0]]), backend="scatter").sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == 1


@pytest.mark.skipif(INSTALLED, reason="torch-scatter is installed here")
def test_missing_extra_is_named() -> None:
    with pytest.raises(ConfigError, match=r"toothgraph\[scatter\]"):
        gather_max(torch.zeros(2, 1), torch.zeros(1, 2, dtype=torch.long), backend="scatter")


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ConfigError, match="native"):
        gather_max(torch.zeros(2, 1), torch.zeros(1, 2, dtype=torch.long), backend="magic")
