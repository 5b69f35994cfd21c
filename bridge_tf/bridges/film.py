"""Conditioning of a bridge on r: a scale and a shift of features that depend on r."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bridge_tf")
class Modulation(keras.layers.Layer):
    """Feature-wise scale and shift from r (FiLM; Perez et al., AAAI 2018, equation 2).

    y = x · (1 + γ(r)) + β(r) for features x (N×…×C) and r in [0, 1] (N×1). γ and β are a linear
    layer on `hidden` tanh units. They start at 0, so that a bridge starts independent of r.
    """

    def __init__(self, hidden: int = 8, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.from_r = keras.layers.Dense(hidden, activation="tanh", name="from_r")
        self.to_channels = None

    def build(self, input_shape):
        features, r = input_shape
        self.to_channels = keras.layers.Dense(
            2 * features[-1], kernel_initializer="zeros", name="to_channels"
        )
        self.from_r.build(r)
        self.to_channels.build((r[0], self.hidden))

    def call(self, inputs):
        features, r = inputs
        # Centred, so that r has both signs for the hidden layer.
        both = self.to_channels(self.from_r(4 * r - 2))
        for _ in range(len(features.shape) - 2):
            both = ops.expand_dims(both, 1)
        scale, shift = ops.split(both, 2, axis=-1)
        return features * (1 + scale) + shift

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}


@keras.saving.register_keras_serializable(package="bridge_tf")
class Position(keras.layers.Layer):
    """The constant r in [0, 1], N×1, for a conditioned bridge; N is that of its input, N×…."""

    def __init__(self, r: float, **kwargs):
        super().__init__(**kwargs)
        self.r = float(r)

    def call(self, inputs):
        return ops.broadcast_to(ops.full((1, 1), self.r, "float32"), (ops.shape(inputs)[0], 1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "r": self.r}
