"""The settings of a run, free of Keras and TensorFlow."""

from bridge_tf.config.config import INDECISIVE, NAME, SMOKE_IMAGES, STAGES, Config
from bridge_tf.config.fields import AUTO

__all__ = ["AUTO", "INDECISIVE", "NAME", "SMOKE_IMAGES", "STAGES", "Config"]
