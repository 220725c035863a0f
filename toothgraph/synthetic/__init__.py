"""Synthetic labelled dental arches for experiments, teaching and tests, without patient data."""

from toothgraph.choices import MAX_FACES, MIN_FACES
from toothgraph.synthetic.arch import synthetic_arch
from toothgraph.synthetic.layout import Variation
from toothgraph.synthetic.write import write_synthetic

__all__ = ["MAX_FACES", "MIN_FACES", "Variation", "synthetic_arch", "write_synthetic"]
