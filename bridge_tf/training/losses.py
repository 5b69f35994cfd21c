"""Losses that Keras hasn't."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bridge_tf")
class SparseSmoothedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy with label smoothing (Szegedy et al., CVPR 2016) for labels that are integers.

    Arguments are those of `keras.losses.CategoricalCrossentropy`, as `from_logits` and
    `label_smoothing`; labels are N or N×1, predictions N×classes.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        return super().call(ops.one_hot(labels, y_pred.shape[-1]), y_pred)
