from __future__ import annotations

import numpy as np
import pytest

from toothgraph.anatomy.mouth import CLOSED, COMPLETE, OPEN, kind_of_mouth
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch


@pytest.fixture(scope="module")
def arch() -> Mesh:
    return synthetic_arch(3, jaw=0, faces=6000, without=[18, 28])


def test_kinds_of_mouth(arch: Mesh) -> None:
    assert kind_of_mouth(arch) == COMPLETE
    assert (
        kind_of_mouth(arch.part(~np.isin(arch.labels, [17, 16]))) == COMPLETE
    )  # at the end: not scanned, or not there
    assert kind_of_mouth(arch.part(arch.labels != 15)) == OPEN
    assert kind_of_mouth(arch.with_labels(np.where(arch.labels == 15, 0, arch.labels))) == OPEN
    # 16 and 17 are called 17 and 18: as if 16 was lost and its gap closed
    shifted = np.select([arch.labels == 17, arch.labels == 16], [18, 17], arch.labels)
    assert kind_of_mouth(arch.with_labels(shifted)) == CLOSED
    both = np.where(shifted == 24, 0, shifted)
    assert kind_of_mouth(arch.with_labels(both)) == OPEN
    assert kind_of_mouth(arch.with_labels(np.zeros_like(arch.labels))) == COMPLETE
