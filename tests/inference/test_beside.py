from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from toothgraph.inference import predict_mesh
from toothgraph.inference.beside import second_thread
from toothgraph.mesh.mesh import Mesh
from toothgraph.model import SegmentationNet


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_work_is_done_beside_only_where_there_is_a_thread_to_spare(threads: int) -> None:
    with second_thread() as begin:
        ident = begin(threading.get_ident)
        assert (ident() != threading.get_ident()) == (threads > 1)


def test_errors_come_back(threads: int) -> None:
    with second_thread() as begin:
        broken = begin(int, "no number")
        with pytest.raises(ValueError, match="no number"):
            broken()


def test_a_prediction_does_not_depend_on_it(net: SegmentationNet, arch: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(predict_mesh(net, arch))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found[0].probabilities, found[1].probabilities, atol=1e-5)
    assert (found[0].labels == found[1].labels).mean() > 0.999
