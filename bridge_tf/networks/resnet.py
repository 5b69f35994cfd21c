"""The residual family of the paper (He et al., CVPR 2016, section 4.2: 6n + 2 layers)."""

from collections.abc import Sequence

import keras

from bridge_tf.networks.blocks import (
    basic_block,
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
    check_options(width, norm)
    planes = planes_of(3, 16, width)

    inputs = keras.Input(input_shape, name="image")
    x = pixel_scaling(input_shape[-1], pixel_mean, pixel_std)(inputs)
    x = conv(planes[0], 3, 1, "stem_conv")(x)
    x = norm_layer(norm, "stem_norm")(x)
    x = keras.layers.Activation("silu", name="stem")(x)
    for stage, channels in enumerate(planes, start=1):
        for block in range(1, (depth - 2) // 6 + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = basic_block(x, channels, strides, norm, f"stage{stage}_block{block}")
    return classifier(inputs, x, num_classes, name or f"resnet{depth}")
