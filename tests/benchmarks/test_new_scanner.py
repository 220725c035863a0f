"""Studies of scans without labels: a new scanner, and what an embedding knows across patients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from benchmarks.studies.new_scanner import halves
from benchmarks.studies.one_shot import scores
from toothgraph.data.prepared.sources import Source
from toothgraph.fdi import fdi_to_class
from toothgraph.training.found_labels import Unlabelled


def test_each_half_has_both_jaws() -> None:
    names = ["a_upper", "b_lower", "c_upper", "d_lower", "e_upper", "f_lower"]
    first, second = halves([Unlabelled(Source(Path(name), name, name[0])) for name in names])
    parts = [{one.source.scan_id for one in half} for half in (first, second)]
    assert parts[0] | parts[1] == set(names) and not parts[0] & parts[1]
    assert all({name.split("_")[1] for name in part} == {"upper", "lower"} for part in parts)


class AsItLies(nn.Module):
    """An embedding that is the position."""

    def backbone(self, data: Data) -> Tensor:
        return data.pos


def test_each_face_takes_the_label_of_the_nearest_of_its_jaw() -> None:
    def graph(positions: list[list[float]], numbers: list[int]) -> Data:
        return Data(pos=torch.tensor(positions), y=torch.from_numpy(fdi_to_class(torch.tensor(numbers).numpy())))

    upper = graph([[1.0, 0, 0], [0, 1.0, 0]], [11, 12])
    lower = graph([[1.0, 0, 0], [0, 0, 1.0]], [31, 32])
    other = graph([[0.9, 0.1, 0], [0.2, 0.9, 0], [0.6, 0.5, 0]], [11, 12, 12])
    found = scores(AsItLies(), [upper, lower], [other])  # type: ignore[arg-type]
    assert found["accuracy"] == pytest.approx(2 / 3) and found["miou"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert scores(AsItLies(), [upper, lower], [upper])["miou"] == 1  # type: ignore[arg-type]
