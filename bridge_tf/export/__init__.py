"""Export of a bridge ensemble to TensorFlow Serving and LiteRT."""

from bridge_tf.export.exporter import export
from bridge_tf.export.predictor import load_predictor

__all__ = ["export", "load_predictor"]
