"""The project's layers for `tf_keras`; each computes the same as its namesake."""

import tensorflow as tf
import tf_keras


class FilterResponseNormalization(tf_keras.layers.Layer):
    """As `bridge_tf.FilterResponseNormalization`."""

    def __init__(self, epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.tau = self.add_weight(shape=shape, initializer="zeros", name="tau")
        super().build(input_shape)

    def call(self, inputs):
        mean_square = tf.reduce_mean(tf.square(inputs), axis=(1, 2), keepdims=True)
        normalized = inputs * tf.math.rsqrt(mean_square + self.epsilon)
        return tf.maximum(normalized * self.gamma + self.beta, self.tau)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


class Modulation(tf_keras.layers.Layer):
    """As `bridge_tf.bridges.film.Modulation`."""

    def __init__(self, hidden: int = 8, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden

    def build(self, input_shape):
        channels = input_shape[0][-1]
        for k, shape in enumerate([(input_shape[1][-1], self.hidden), (self.hidden, 2 * channels)]):
            setattr(self, f"kernel{k}", self.add_weight(f"kernel{k}", shape))
            setattr(self, f"bias{k}", self.add_weight(f"bias{k}", shape[1:]))
        super().build(input_shape)

    def call(self, inputs):
        features, r = inputs
        hidden = tf.tanh(tf.matmul(4 * r - 2, self.kernel0) + self.bias0)
        both = tf.matmul(hidden, self.kernel1) + self.bias1
        for _ in range(len(features.shape) - 2):
            both = tf.expand_dims(both, 1)
        scale, shift = tf.split(both, 2, axis=-1)
        return features * (1 + scale) + shift

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}


class Position(tf_keras.layers.Layer):
    """As `bridge_tf.bridges.film.Position`."""

    def __init__(self, r: float, **kwargs):
        super().__init__(**kwargs)
        self.r = r

    def call(self, inputs):
        return tf.fill((tf.shape(inputs)[0], 1), self.r)

    def get_config(self):
        return {**super().get_config(), "r": self.r}


LAYERS = {layer.__name__: layer for layer in (FilterResponseNormalization, Modulation, Position)}
