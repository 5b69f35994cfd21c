"""Refusing images of another size than a network was trained on, within a .tflite file."""

import numpy as np
import tensorflow as tf

# The float32 next to 1, which converters can't know to change nothing that counts.
_NEARLY_ONE = np.nextafter(np.float32(1), np.float32(2))


def of_size(x, spec: tf.TensorSpec):
    """`x` as it is, to a relative 1e-7, or an error of the runtime if its size isn't the spec's.

    Runtimes resize inputs to what they are given, and a network that ends in a global pooling would
    answer images and features of any size. This multiplies them by a constant of height and width,
    which no other size fits but 1×1, that takes no time that could be measured.

    Args:
        x: N×height×width×channels, float; of other ranks nothing is done.
        spec: of the input.
    """
    size = tuple(spec.shape[1:3])
    if len(spec.shape) != 4 or None in size:
        return x
    return x * tf.constant(np.full((1, *size, 1), _NEARLY_ONE), x.dtype)
