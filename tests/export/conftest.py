import itertools

import keras
import numpy as np
import pytest
from keras import layers


@pytest.fixture
def tiny():
    """Builds a network whose conversion takes a fraction of a resnet's, of tap "relu0"."""
    seeds = itertools.count()

    def tiny():
        x = image = keras.Input((8, 8, 1), name="image")
        x = layers.Rescaling(1 / 255, name="scaled")(x)
        for k, channels in enumerate((8, 16)):
            x = layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv{k}")(x)
            x = layers.BatchNormalization(name=f"norm{k}")(x)
            x = layers.ReLU(name=f"relu{k}")(x)
        x = layers.GlobalAveragePooling2D(name="mean")(x)
        network = keras.Model(image, layers.Dense(5, name="logits")(x), name="tiny")
        generator = np.random.default_rng(next(seeds))
        for variable in network.trainable_variables:
            variable.assign_add(generator.normal(0, 0.1, variable.shape))
        return network

    return tiny
