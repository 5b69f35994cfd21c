"""A network of which all takes a fraction of a resnet's."""

import keras
import numpy as np
from keras import layers


def tiny_network(seed: int, batch_norm: bool = True) -> keras.Model:
    """Two convolutions, with taps "relu0" and "relu1", and weights that the seed tells."""
    keras.utils.set_random_seed(seed)
    x = image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 255, name="scaled")(x)
    for k, channels in enumerate((8, 16)):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv{k}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"norm{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    network = keras.Model(image, layers.Dense(5, name="logits")(x), name="tiny")
    generator = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign_add(generator.normal(0, 0.1, variable.shape))
    return network
