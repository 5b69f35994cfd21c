"""Networks of which all takes less time than a ResNet-8's."""

import keras
import numpy as np
from keras import layers

from bridge_tf.networks.blocks import classifier, conv, norm_layer, pixel_scaling, planes_of


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


def small_resnet(norm: str = "frn", width: float = 0.25) -> keras.Model:
    """A ResNet-8 with one convolution a block and a shortcut in stage 2 alone.

    Its layers have the names of a ResNet-8's.
    """
    inputs = keras.Input((8, 8, 1), name="image")
    x = pixel_scaling(1, 0.5, 0.25)(inputs)
    planes = planes_of(3, 16, width)
    x = conv(planes[0], 3, 1, "stem_conv")(x)
    x = layers.Activation("silu", name="stem")(norm_layer(norm, "stem_norm")(x))
    for stage, channels in enumerate(planes, start=1):
        name, before, strides = f"stage{stage}_block1", x, 1 if stage == 1 else 2
        x = conv(channels, 3, strides, f"{name}_conv1")(x)
        x = norm_layer(norm, f"{name}_norm1")(x)
        if stage == 2:
            shortcut = conv(channels, 1, strides, f"{name}_shortcut_conv")(before)
            shortcut = norm_layer(norm, f"{name}_shortcut_norm")(shortcut)
            x = layers.Add(name=f"{name}_add")([x, shortcut])
        x = layers.Activation("silu", name=name)(x)
    return classifier(inputs, x, 5, "small_resnet")
