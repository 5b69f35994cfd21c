"""Parts of the residual networks: pixel scaling, convolutions, norms, blocks."""

from collections.abc import Sequence

import keras

from bridge_tf.config.fields import NORMS
from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.utils.errors import InputError

# Output channels of a bottleneck relative to its inner channels.
EXPANSION = 4


def check_options(width: float, norm: str) -> None:
    """Raises a ValueError for an invalid width or norm."""
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}. Received: norm={norm}")
    if width <= 0:
        raise ValueError(f"width must be positive. Received: width={width}")


def planes_of(stages: int, first: int, width: float) -> list[int]:
    """The channels of each stage: `first` × `width`, doubled from stage to stage."""
    return [max(1, round(first * width * 2**stage)) for stage in range(stages)]


def classifier(inputs, x, num_classes: int, name: str) -> keras.Model:
    """The model from `inputs` to logits: a classification head on the features `x`, N×H×W×C."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, kernel_initializer=_he(), name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def basic_block(x, channels: int, strides: int, norm: str, name: str):
    """Two 3×3 convolutions, the first one strided, and a shortcut."""
    shortcut = _shortcut(x, channels, strides, norm, name)
    x = conv(channels, 3, strides, f"{name}_conv1")(x)
    x = norm_layer(norm, f"{name}_norm1")(x)
    x = keras.layers.Activation("silu", name=f"{name}_act1")(x)
    x = conv(channels, 3, 1, f"{name}_conv2")(x)
    x = norm_layer(norm, f"{name}_norm2")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation("silu", name=name)(x)


def bottleneck_block(x, channels: int, strides: int, norm: str, name: str):
    """1×1, 3×3 (strided) and 1×1 convolutions to 4 × `channels`, and a shortcut."""
    shortcut = _shortcut(x, EXPANSION * channels, strides, norm, name)
    x = conv(channels, 1, 1, f"{name}_conv1")(x)
    x = norm_layer(norm, f"{name}_norm1")(x)
    x = keras.layers.Activation("silu", name=f"{name}_act1")(x)
    x = conv(channels, 3, strides, f"{name}_conv2")(x)
    x = norm_layer(norm, f"{name}_norm2")(x)
    x = keras.layers.Activation("silu", name=f"{name}_act2")(x)
    x = conv(EXPANSION * channels, 1, 1, f"{name}_conv3")(x)
    x = norm_layer(norm, f"{name}_norm3")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation("silu", name=name)(x)


def _shortcut(x, channels: int, strides: int, norm: str, name: str):
    if strides == 1 and x.shape[-1] == channels:
        return x
    x = conv(channels, 1, strides, f"{name}_shortcut_conv")(x)
    return norm_layer(norm, f"{name}_shortcut_norm")(x)


def pixel_scaling(channels: int, mean, std) -> keras.layers.Layer:
    """Scales raw pixels to zero mean and unit variance; mean and std are fractions of 255.

    An InputError if one of them is neither one number nor one for each channel.
    """
    per_channel = []
    for label, value in (("pixel_mean", mean), ("pixel_std", std)):
        values = list(value) if isinstance(value, Sequence) else [value]
        if len(values) not in (1, channels):
            raise InputError(
                f"`{label}={','.join(map(str, values))}`: must be one number or one for each of "
                f"the images' {channels} channels"
            )
        per_channel.append([255.0 * v for v in values * (channels // len(values))])
    variance = [v * v for v in per_channel[1]]
    return keras.layers.Normalization(mean=per_channel[0], variance=variance, name="pixels")


def conv(filters: int, size: int, strides: int, name: str) -> keras.layers.Layer:
    """A convolution without bias; the kernel is initialized as He et al. (ICCV 2015), fan-out."""
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_he(),
        name=name,
    )


def norm_layer(norm: str, name: str) -> keras.layers.Layer:
    """Filter response normalization ("frn") or batch normalization ("batch")."""
    if norm == "frn":
        return FilterResponseNormalization(name=name)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def _he() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
