"""Taking a bridge ensemble to TensorFlow Serving and LiteRT."""

from bridge_tf.export.exporter import Artifacts, ParityError, export
from bridge_tf.export.predictor import Predictor, load_predictor

__all__ = ["Artifacts", "ParityError", "Predictor", "export", "load_predictor"]
