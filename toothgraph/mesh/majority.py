"""Majority vote over labels."""

from __future__ import annotations

import numpy as np


def majority(group: np.ndarray, label: np.ndarray, weight: np.ndarray | None, n_groups: int) -> np.ndarray:
    """The label with the largest total weight in each group.

    Unknown (-1) does not vote; a group is unknown only if all its labels are. A tie goes to the smallest tooth
    number; gingiva (0) loses every tie.

    Args:
        group: [n] group of each vote.
        label: [n] FDI numbers, 0 or -1.
        weight: [n] weights of at least 0; None for equal weights. If all weights of a group are 0, each vote counts 1.
        n_groups: number of groups G.

    Returns:
        [G] int64; -1 for a group without votes.
    """
    known = label >= 0
    group, label = group[known], label[known]
    candidates, column = np.unique(label, return_inverse=True)
    if len(candidates) == 0:
        return np.full(n_groups, -1, dtype=np.int64)
    cells = group * len(candidates) + column.reshape(-1)
    votes = np.bincount(cells, None if weight is None else weight[known], n_groups * len(candidates))
    votes = votes.reshape(n_groups, len(candidates))
    if weight is not None and (counted := (votes == 0).all(axis=1)[group]).any():
        votes += np.bincount(cells[counted], minlength=votes.size).reshape(votes.shape)
    order = np.argsort(np.where(candidates == 0, np.iinfo(np.int64).max, candidates))  # gingiva last
    winner = candidates[order][votes[:, order].argmax(axis=1)].astype(np.int64)
    return np.where(votes.any(axis=1), winner, -1)
