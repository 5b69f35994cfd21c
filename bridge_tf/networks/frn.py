"""Filter response normalization with its thresholded linear unit."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bridge_tf")
class FilterResponseNormalization(keras.layers.Layer):
    """Filter response normalization (Singh and Krishnan, CVPR 2020, equations 1-3).

    Images share no statistics, so there is nothing to re-estimate on a curve. For N×H×W×C inputs::

        y = max(gamma * x / sqrt(mean(x²) + epsilon) + beta, tau)

    with the mean over height and width, and learned gamma, beta, tau per channel.

    Args:
        epsilon: above 0.
        **kwargs: of `keras.layers.Layer`, as `name` and `dtype`.

    Raises:
        ValueError: epsilon isn't positive.

    Example::

        x = keras.layers.Conv2D(8, 3)(keras.Input((8, 8, 3)))
        x = bridge_tf.FilterResponseNormalization()(x)  # in place of normalization and ReLU
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.tau = self.add_weight(shape=shape, initializer="zeros", name="tau")

    def call(self, inputs: Any) -> Any:
        mean_square = ops.mean(ops.square(inputs), axis=(1, 2), keepdims=True)
        normalized = inputs * ops.rsqrt(mean_square + self.epsilon)
        return ops.maximum(normalized * self.gamma + self.beta, self.tau)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
