"""The pre-processing of `keras.applications`, as plain layers."""

import sys

import keras
import numpy as np
from keras import ops

from bridge_tf.config.fields import PREPROCESSING

MODES = PREPROCESSING[1:]
"""The modes of `keras.applications.imagenet_utils.preprocess_input`, and none at all."""

# Published with ImageNet models: RGB as fractions of 255, and below BGR in 0…255.
_IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def preprocess(images, mode: str):
    """Applies a mode to raw RGB pixels, a symbolic tensor N×H×W×3 in 0…255.

    "none" changes nothing; "tf" maps pixels to -1…1; "torch" normalizes them by ImageNet's mean and
    standard deviation; "caffe" turns RGB into BGR and subtracts ImageNet's mean. The scaling is the
    layer `pixels`.
    """
    if mode == "none":
        return images
    if mode == "tf":
        scale, offset = 1 / 127.5, -1.0
    elif mode == "torch":
        scale = [1 / (255 * std) for std in IMAGENET_STD]
        offset = [-mean / std for mean, std in zip(_IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    else:
        images = ops.flip(images, axis=-1)
        scale, offset = 1.0, [-mean for mean in _CAFFE_MEAN]
    return keras.layers.Rescaling(scale, offset, name="pixels")(images)


def own_mode(builder) -> str:
    """The mode of a function of `keras.applications`; a ValueError if it isn't in `MODES`."""
    family = sys.modules[builder.__module__]
    pixels = np.array([[[10.0, 100.0, 200.0]]])
    # Each call gets a copy, because Keras writes into the array.
    expected = family.preprocess_input(pixels.copy())
    for mode in MODES:
        given = pixels
        if mode != "none":
            given = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if np.allclose(given, expected):
            return mode
    raise ValueError(f"unknown pre-processing of {family.__name__}")
