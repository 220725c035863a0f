"""Combine and restrict log-probabilities of tooth positions and jaws."""

from __future__ import annotations

import torch
from torch import Tensor

from toothgraph.fdi import NUM_CLASSES, UPPER, check_jaw
from toothgraph.nn.checks import check_nodes


def log_softmax(x: Tensor) -> Tensor:
    """Log-probabilities over the last dimension, same shape, at least float32; in half precision the sum is not 1."""
    return x.log_softmax(dim=-1, dtype=torch.promote_types(x.dtype, torch.float32))


def join_jaw(positions: Tensor, jaw: Tensor) -> Tensor:
    """Log-probabilities of the 33 classes from those of the 17 positions and of the two jaws.

    Gingiva keeps its probability; a tooth has P(position)·P(jaw). The sum is 1.

    Args:
        positions: [N, 17] log-probabilities, gingiva first.
        jaw: [N, 2] log-probabilities of upper and lower.

    Returns:
        [N, 33].
    """
    upper, lower = jaw.split(1, dim=1)  # [N, 1] each
    return torch.cat([positions[:, :1], positions[:, 1:] + upper, positions[:, 1:] + lower], dim=1)


def join_places(log_prob: Tensor) -> Tensor:
    """Log-probabilities of the 17 positions [N, 17], summed over the jaws, from those of the 33 classes [N, 33]."""
    return torch.cat([log_prob[:, :1], torch.logaddexp(log_prob[:, 1:17], log_prob[:, 17:])], dim=1)


def restrict_to_jaw(log_prob: Tensor, jaw: int) -> Tensor:
    """Log-probabilities [N, 33] of the nodes of one scan given its jaw: teeth of the other jaw get -inf, the sum is 1.

    The probability of a tooth of the other jaw is added to the tooth at the same position of this jaw, with a weight:
    the share of all tooth probability on the scan that the net gives to the other jaw. If the net sees the other jaw
    only in some places, the weight is small, and these places tend to become gingiva. If the net takes the whole scan
    for the other jaw, for example because it was trained only on that jaw, the weight is near 1 and the teeth are kept.

    Args:
        log_prob: [N, 33].
        jaw: 0 upper, 1 lower; -1 unknown, which changes nothing.

    Raises:
        ShapeError: for another number of classes, or another jaw.

    Example:
        >>> log_prob = torch.zeros(5, 33).log_softmax(dim=1)
        >>> prob = restrict_to_jaw(log_prob, jaw=1).exp()  # of the lower jaw
        >>> int((prob[0] > 0).sum()), round(float(prob[0].sum()), 3)
        (17, 1.0)
    """
    check_nodes(log_prob, NUM_CLASSES, "log_prob")
    check_jaw(jaw)
    if jaw < 0:
        return log_prob
    upper, lower = log_prob[:, 1:17], log_prob[:, 17:]
    own, other = (upper, lower) if jaw == UPPER else (lower, upper)
    own_sum, other_sum = (teeth.detach().exp().sum(dtype=torch.float32) for teeth in (own, other))
    mistaken = other_sum / (own_sum + other_sum).clamp_min(1e-12)  # the share
    teeth = torch.logaddexp(own, other + mistaken.log())
    none = torch.full_like(teeth, float("-inf"))
    return torch.cat([log_prob[:, :1], *((teeth, none) if jaw == UPPER else (none, teeth))], dim=1).log_softmax(dim=1)
