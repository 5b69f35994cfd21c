"""The residual family of the paper (He et al., CVPR 2016, section 4.2: 6n + 2 layers)."""

from collections.abc import Sequence

import keras

from bridge_tf.errors import InputError
from bridge_tf.networks.frn import FilterResponseNormalization

NORMS = ("frn", "batch")


def build_resnet(
    depth: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: float = 1,
    norm: str = "frn",
    pixel_mean: Sequence[float] | float = 0.5,
    pixel_std: Sequence[float] | float = 0.25,
    name: str | None = None,
) -> keras.Model:
    """Builds a residual network for small images, with SiLU activations.

    Three stages of n = (depth - 2) / 6 blocks with 16, 32 and 64 × `width` channels; stages 2
    and 3 halve height and width. A block's output is the layer `stage{s}_block{b}`, both
    counted from 1: these are the names of the taps. Kernels start from the normal fan-out
    draw of He et al. (ICCV 2015). L2 belongs to the optimizer (`bridge_tf.Recipe`), so that it
    acts on the control points of a curve in the same way.

    Args:
        depth: 6n + 2, at least 8.
        input_shape: (height, width, channels) of the images.
        num_classes: number of logits, at least 2.
        width: multiplies the channels of every stage, > 0.
        norm: "frn" (filter response normalization) or "batch".
        pixel_mean, pixel_std: of the pixels as fractions of 255, one number or one a channel.

    Returns:
        A Functional model from raw pixels, N×H×W×C in 0…255, to logits, N×num_classes.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 6n + 2 and at least 8. Received: depth={depth}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}. Received: norm={norm}")
    if width <= 0:
        raise ValueError(f"width must be positive. Received: width={width}")
    planes = [max(1, round(16 * width * 2**stage)) for stage in range(3)]

    inputs = keras.Input(input_shape, name="image")
    x = _pixel_scaling(input_shape[-1], pixel_mean, pixel_std)(inputs)
    x = _conv(planes[0], 3, 1, "stem_conv")(x)
    x = _norm(norm, "stem_norm")(x)
    x = keras.layers.Activation("silu", name="stem")(x)
    for stage, channels in enumerate(planes, start=1):
        for block in range(1, (depth - 2) // 6 + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, channels, strides, norm, f"stage{stage}_block{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(num_classes, kernel_initializer=_he(), name="logits")(x)
    return keras.Model(inputs, outputs, name=name or f"resnet{depth}")


def _block(x, channels: int, strides: int, norm: str, name: str):
    shortcut = x
    if strides > 1 or x.shape[-1] != channels:
        shortcut = _conv(channels, 1, strides, f"{name}_shortcut_conv")(x)
        shortcut = _norm(norm, f"{name}_shortcut_norm")(shortcut)
    x = _conv(channels, 3, strides, f"{name}_conv1")(x)
    x = _norm(norm, f"{name}_norm1")(x)
    x = keras.layers.Activation("silu", name=f"{name}_act1")(x)
    x = _conv(channels, 3, 1, f"{name}_conv2")(x)
    x = _norm(norm, f"{name}_norm2")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation("silu", name=name)(x)


def _pixel_scaling(channels: int, mean, std) -> keras.layers.Layer:
    """Raw pixels to zero mean and unit variance; mean and std are fractions of 255."""
    per_channel = []
    for label, value in (("pixel_mean", mean), ("pixel_std", std)):
        values = list(value) if isinstance(value, Sequence) else [value]
        if len(values) not in (1, channels):
            raise InputError(
                f"--{label}={','.join(map(str, values))}: must be one number or one for each of "
                f"the images' {channels} channels"
            )
        per_channel.append([255.0 * v for v in values * (channels // len(values))])
    variance = [v * v for v in per_channel[1]]
    return keras.layers.Normalization(mean=per_channel[0], variance=variance, name="pixels")


def _conv(filters: int, size: int, strides: int, name: str) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_he(),
        name=name,
    )


def _norm(norm: str, name: str) -> keras.layers.Layer:
    if norm == "frn":
        return FilterResponseNormalization(name=name)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def _he() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
