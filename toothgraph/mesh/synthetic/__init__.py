"""Synthetic labelled dental arches: for trying things out, teaching and tests, without a patient's scan."""

from toothgraph.mesh.synthetic.arch import MAX_FACES, MIN_FACES, synthetic_arch
from toothgraph.mesh.synthetic.layout import Variation
from toothgraph.mesh.synthetic.write import write_synthetic

__all__ = ["MAX_FACES", "MIN_FACES", "Variation", "synthetic_arch", "write_synthetic"]
