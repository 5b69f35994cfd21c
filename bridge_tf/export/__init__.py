"""Taking a bridge ensemble to TensorFlow Serving and LiteRT."""

from bridge_tf.export.exporter import Artifacts, export
from bridge_tf.export.predictor import Predictor, load_predictor

__all__ = ["Artifacts", "Predictor", "export", "load_predictor"]
