from __future__ import annotations

import pytest

from toothgraph.data import Scan, prepare_scan
from toothgraph.graph import GraphSpec
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.synthetic import synthetic_arch


@pytest.fixture(scope="session")
def scan(arch: Mesh, small_spec: GraphSpec) -> Scan:
    """Three tessellations of ``arch``. Shared: do not change them."""
    return prepare_scan(arch, small_spec, variants=3, seed=7)


@pytest.fixture(scope="session")
def scans(scan: Scan, small_spec: GraphSpec) -> list[Scan]:
    """Two scans of two tessellations each, an upper and a lower jaw. Shared: do not change them."""
    other = prepare_scan(synthetic_arch(2, jaw=1, faces=2000), small_spec, variants=2, seed=7)
    return [Scan(scan.scan_id, scan.variants[:2]), other]
