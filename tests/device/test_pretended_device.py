"""The pretended device is as strict as a real one."""

from __future__ import annotations

from typing import Any

import pytest
import torch


def test_values_and_gradients_are_those_of_the_cpu(pretended: Any) -> None:
    torch.manual_seed(0)
    layer, x = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU()), torch.randn(9, 3)
    layer(x).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    layer.to(pretended.device)
    pretended.waits.clear()
    layer(x.to(pretended.device, non_blocking=True)).square().sum().backward()
    assert not pretended.waits
    for parameter, grad in zip(layer.parameters(), expected, strict=True):
        assert parameter.device == parameter.grad.device == pretended.device
        assert torch.equal(parameter.grad.cpu(), grad)


def test_devices_cannot_be_mixed(pretended: Any) -> None:
    here, there = torch.ones(2), torch.ones(2, device=pretended.device)
    index = torch.tensor([0])
    for mix in (
        lambda: here + there, lambda: torch.cat([here, there]), lambda: torch.mul(there, there, out=here),
        lambda: here[index.to(pretended.device)], lambda: there.index_select(0, index),
        lambda: there.index_put((index.to(pretended.device),), here[:1]),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="on one device"):
            mix()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert (there + here.sum()).device == there.device  # one number may come from the CPU


WAITS = {
    "a number": lambda x: float(x[0]),
    "a truth": lambda x: bool(x[0] > 0),
    "a list": lambda x: x.tolist(),
    "to the CPU": lambda x: x.cpu(),
    "from the CPU": lambda x: torch.ones(2).to(x.device),
    "a constant": lambda x: torch.tensor([1.0], device=x.device),
    "nonzero": lambda x: torch.nonzero(x),
    "a mask": lambda x: x[x > 0],
    "an index of the CPU": lambda x: x[torch.tensor([0])],
    "unique": lambda x: torch.unique(x),
    "counts": lambda x: torch.bincount(x.long()),
    "repeats": lambda x: x.repeat_interleave(x.long()),
}


@pytest.mark.parametrize("name", WAITS)
def test_waits_are_counted(pretended: Any, name: str) -> None:
    x = torch.ones(3, device=pretended.device)
    WAITS[name](x)
    assert sum(pretended.waits.values()) == 1, pretended.waits


def test_what_does_not_wait(pretended: Any) -> None:
    x = torch.ones(3, device=pretended.device)
    x[x > 0] = 2.0
    torch.where(x > 0, x, 0.0).sort()
    torch.nonzero_static(x, size=3)
    x.repeat_interleave(x.long(), output_size=6)
    torch.zeros(3).to(x.device, non_blocking=True)
    torch.nn.functional.one_hot(x.long(), 3)
    assert not pretended.waits


def test_mixed_precision(pretended: Any) -> None:
    layer = torch.nn.Linear(3, 2).to(pretended.device)
    x = torch.ones(4, 3, device=pretended.device)
    with torch.autocast(pretended.device.type, torch.bfloat16):
        out = layer(x)
        assert out.dtype == torch.bfloat16
        with torch.autocast(pretended.device.type, enabled=False):
            assert layer(x).dtype == torch.float32
    out.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
