from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.transforms import crop, cut_region


def test_nodes_are_named_by_numbers_or_by_a_mask(arch_graph: Data) -> None:
    mask = np.zeros(arch_graph.num_nodes, dtype=bool)
    mask[[3, 5, 8, 40]] = True
    expected = crop(arch_graph, np.array([3, 5, 8, 40]))
    assert torch.equal(expected.pos, arch_graph.pos[[3, 5, 8, 40]])
    for keep in (mask, torch.from_numpy(mask), [3, 5, 8, 40], torch.tensor([3, 5, 8, 40])):
        out = crop(arch_graph, keep)
        assert torch.equal(out.pos, expected.pos) and torch.equal(out.neighbor_index, expected.neighbor_index)


@pytest.mark.parametrize("keep", [[-1], [10**6], [[0, 1]], [0.5], [True, False]])
def test_nodes_that_are_not_there(arch_graph: Data, keep: list) -> None:
    with pytest.raises(ShapeError, match=f"from 0 to {arch_graph.num_nodes - 1}, or one bool per node, got"):
        crop(arch_graph, np.array(keep))


def test_what_cannot_be_cut(arch_graph: Data) -> None:
    with pytest.raises(ConfigError, match="at least 1 node, got 0"):
        cut_region(arch_graph, np.zeros(3), 0)
    bare = Data(pos=arch_graph.pos)
    for cut in (lambda: crop(bare, np.array([0])), lambda: cut_region(bare, np.zeros(3), 5)):
        with pytest.raises(ShapeError, match=r"graph with edge_index \[2, E\], got one without"):
            cut()
