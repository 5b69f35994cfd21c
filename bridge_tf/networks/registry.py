"""Finding a network by its name."""

import re

import keras

from bridge_tf.errors import InputError
from bridge_tf.networks.resnet import build_resnet

_DEPTHS = tuple(range(8, 57, 6))


def network_names() -> tuple[str, ...]:
    """The names that `build_network` knows."""
    return tuple(f"resnet{depth}" for depth in _DEPTHS)


def build_network(
    name: str, input_shape: tuple[int, int, int], num_classes: int, **options
) -> keras.Model:
    """Builds the network called `name` with fresh weights.

    Args:
        name: one of `network_names()`.
        input_shape: (height, width, channels) of the images.
        num_classes: number of classes.
        **options: passed on to the builder, for example `width`, `norm`.

    Returns:
        A Functional model from raw pixels (N×H×W×C, 0…255) to logits (N×num_classes).

    Raises:
        InputError: there is no network of that name.
    """
    match = re.fullmatch(r"resnet(\d+)", name)
    if match is None or int(match[1]) not in _DEPTHS:
        raise InputError(f"--model: no network '{name}'; known are {', '.join(network_names())}")
    return build_resnet(int(match[1]), input_shape, num_classes, name=name, **options)
