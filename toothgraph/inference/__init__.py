"""Labels for a scan: on every face and vertex of the original surface."""

from toothgraph.inference.carry import carry_up
from toothgraph.inference.predict import Prediction, predict_mesh

__all__ = ["Prediction", "carry_up", "predict_mesh"]
