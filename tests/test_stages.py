from __future__ import annotations

import pytest

from toothgraph.inference.predict import predict_mesh
from toothgraph.mesh.mesh import Mesh
from toothgraph.stages import clock, heard_by, stage


def test_the_innermost_listener_hears() -> None:
    outer: list[str] = []
    inner: list[str] = []
    stage("nobody listens")
    with heard_by(outer.append):
        stage("one")
        with heard_by(inner.append):
            stage("two")
        stage("three")
    stage("nobody listens")
    assert (outer, inner) == (["one", "three"], ["two"])


def test_a_prediction_says_its_stages(net, arch: Mesh) -> None:
    told: list[str] = []
    with heard_by(told.append):
        predict_mesh(net, arch)
    assert list(dict.fromkeys(what.split(",")[0] for what in told)) == [
        "decimating", "looking for teeth", "carrying labels to every face", "placing borders", "numbering teeth"
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said
