"""The residual family for larger images (He et al., CVPR 2016, table 1)."""

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


def build_imagenet_resnet(
    depth: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: float = 1,
    norm: str = "frn",
    stem: str = "imagenet",
    pixel_mean: Sequence[float] | float = 0.5,
    pixel_std: Sequence[float] | float = 0.25,
    name: str | None = None,
) -> keras.Model:
    """Builds a residual network of four stages, with SiLU activations.

    Stages have 64, 128, 256 and 512 × `width` channels, bottlenecks (depth 50 and 101) four
    times as many at their outputs; stages 2 to 4 halve height and width, bottlenecks by their
    3×3 convolution. A block's output is the layer `stage{s}_block{b}`, both counted from 1:
    these are the names of the taps. Kernels and L2 as in `build_resnet`.

    Args:
        depth: 18 (blocks 2-2-2-2), 34 and 50 (3-4-6-3) or 101 (3-4-23-3).
        input_shape: (height, width, channels) of the images.
        num_classes: number of logits, at least 2.
        width: multiplies the channels of every stage, > 0.
        norm: "frn" (filter response normalization) or "batch".
        stem: "imagenet" is a 7×7 convolution of stride 2 and a 3×3 max-pool of stride 2;
            "small", for images of 32 to 64 pixels, a 3×3 convolution.
        pixel_mean, pixel_std: of the pixels as fractions of 255, one number or one a channel.

    Returns:
        A Functional model from raw pixels, N×H×W×C in 0…255, to logits, N×num_classes.

    Raises:
        ValueError: one of the arguments is none of these.
    """
    if depth not in IMAGENET_BLOCKS:
        known = ", ".join(map(str, IMAGENET_BLOCKS))
        raise ValueError(f"depth must be one of {known}. Received: depth={depth}")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}. Received: stem={stem}")
    check_options(width, norm)
    planes = planes_of(4, 64, width)
    block_of = bottleneck_block if depth >= 50 else basic_block

    inputs = keras.Input(input_shape, name="image")
    x = pixel_scaling(input_shape[-1], pixel_mean, pixel_std)(inputs)
    large = stem == "imagenet"
    x = conv(planes[0], 7 if large else 3, 2 if large else 1, "stem_conv")(x)
    x = norm_layer(norm, "stem_norm")(x)
    x = keras.layers.Activation("silu", name="stem")(x)
    if large:
        x = keras.layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    counts = IMAGENET_BLOCKS[depth]
    for stage, (channels, count) in enumerate(zip(planes, counts, strict=True), start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = block_of(x, channels, strides, norm, f"stage{stage}_block{block}")
    return classifier(inputs, x, num_classes, name or f"imagenet_resnet{depth}")
