"""Labels for a scan: on every face and vertex of the original surface."""

from toothgraph.inference.options import PredictOptions
from toothgraph.inference.predict import Prediction, predict_mesh

__all__ = ["PredictOptions", "Prediction", "predict_mesh"]
