"""Residual networks (He et al., CVPR 2016) with SiLU activations, for small and larger images.

Blocks are the layers `stage{s}_block{b}`, counted from 1, which can be tapped. Kernels are
initialized as in He et al. (ICCV 2015), fan-out. L2 regularization is in the optimizer
(`bridge_tf.Recipe`), so that it acts on a curve's control points in the same way.
"""

from collections.abc import Sequence

import keras

from bridge_tf.config.fields import IMAGENET_BLOCKS, STEMS
from bridge_tf.networks.blocks import (
    basic_block,
    bottleneck_block,
    check_options,
    classifier,
    conv,
    norm_layer,
    pixel_scaling,
    planes_of,
)


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
    """Builds a residual network for small images (section 4.2).

    Three stages of n = (depth - 2) / 6 blocks with 16, 32 and 64 × `width` channels; stages 2 and 3
    halve height and width.

    Args:
        depth: 6n + 2, at least 8.
        input_shape: (height, width, channels) of the images.
        num_classes: at least 2.
        width: > 0.
        norm: "frn" (filter response normalization) or "batch".
        pixel_mean, pixel_std: as fractions of 255, one number or one for each channel.

    Returns:
        A Functional model from raw pixels, N×H×W×C in 0…255, to logits, N×num_classes.

    Raises:
        ValueError: depth, width or norm is invalid.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 6n + 2 and at least 8. Received: depth={depth}")
    check_options(width, norm)
    planes = planes_of(3, 16, width)
    inputs = keras.Input(input_shape, name="image")
    x = pixel_scaling(input_shape[-1], pixel_mean, pixel_std)(inputs)
    x = _stem(x, planes[0], 3, 1, norm)
    x = _stages(x, planes, 3 * [(depth - 2) // 6], basic_block, norm)
    return classifier(inputs, x, num_classes, name or f"resnet{depth}")


def build_imagenet_resnet(
    depth: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    stem: str = "imagenet",
    width: float = 1,
    norm: str = "frn",
    pixel_mean: Sequence[float] | float = 0.5,
    pixel_std: Sequence[float] | float = 0.25,
    name: str | None = None,
) -> keras.Model:
    """Builds a residual network of four stages, for larger images (table 1).

    Stages have 64, 128, 256 and 512 × `width` channels; the outputs of bottlenecks (depth 50 and
    101) have four times as many. Stages 2 to 4 halve height and width, in bottlenecks with the 3×3
    convolution. Other arguments, result and errors are as in `build_resnet`.

    Args:
        depth: 18 (blocks 2-2-2-2), 34 and 50 (3-4-6-3) or 101 (3-4-23-3).
        stem: "imagenet": a 7×7 convolution and a 3×3 max-pooling, both with stride 2. "small": a
            3×3 convolution, for images of 32 to 64 pixels.
    """
    if depth not in IMAGENET_BLOCKS:
        known = ", ".join(map(str, IMAGENET_BLOCKS))
        raise ValueError(f"depth must be one of {known}. Received: depth={depth}")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}. Received: stem={stem}")
    check_options(width, norm)
    planes = planes_of(4, 64, width)
    inputs = keras.Input(input_shape, name="image")
    x = pixel_scaling(input_shape[-1], pixel_mean, pixel_std)(inputs)
    if stem == "imagenet":
        x = _stem(x, planes[0], 7, 2, norm)
        x = keras.layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    else:
        x = _stem(x, planes[0], 3, 1, norm)
    block = bottleneck_block if depth >= 50 else basic_block
    x = _stages(x, planes, IMAGENET_BLOCKS[depth], block, norm)
    return classifier(inputs, x, num_classes, name or f"imagenet_resnet{depth}")


def _stem(x, channels: int, size: int, strides: int, norm: str):
    x = conv(channels, size, strides, "stem_conv")(x)
    x = norm_layer(norm, "stem_norm")(x)
    return keras.layers.Activation("silu", name="stem")(x)


def _stages(x, planes: Sequence[int], counts: Sequence[int], block_of, norm: str):
    """Stages with these channels and blocks; all but the first halve height and width."""
    for stage, (channels, count) in enumerate(zip(planes, counts, strict=True), start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = block_of(x, channels, strides, norm, f"stage{stage}_block{block}")
    return x
