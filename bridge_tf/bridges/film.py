"""Conditioning a bridge on r: a scale and a shift of features, given by the position."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bridge_tf")
class Modulation(keras.layers.Layer):
    """Feature-wise scale and shift from r (FiLM; Perez et al., AAAI 2018, equation 2).

    y = x · (1 + γ(r)) + β(r), where γ and β are one linear layer of a hidden layer of r each
    layer has for itself. Both start at 0, so that a bridge starts as if it had no r.

    Args:
        hidden: units of the hidden layer.

    Inputs: a pair, features (N×…×C) and r in [0, 1] (N×1). Output: like the features.
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
        # Centred, so that the hidden layer sees both halves of the curve.
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
    """The constant r, N×1, as an input of a conditioned bridge.

    Args:
        r: position on the curve, in [0, 1].

    Input: any tensor, N×…; it only gives the number of rows.
    """

    def __init__(self, r: float, **kwargs):
        super().__init__(**kwargs)
        self.r = float(r)

    def call(self, inputs):
        return ops.broadcast_to(ops.full((1, 1), self.r, "float32"), (ops.shape(inputs)[0], 1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "r": self.r}
