"""Networks by name."""

import difflib
from typing import Any

import keras

from bridge_tf.config.fields import IMAGENET_BLOCKS
from bridge_tf.networks.applications import application_names, build_application
from bridge_tf.networks.architecture import build_from_file
from bridge_tf.networks.resnet import build_imagenet_resnet, build_resnet
from bridge_tf.networks.vgg import build_vgg
from bridge_tf.utils.errors import InputError

_RESNETS = tuple(f"resnet{depth}" for depth in range(8, 57, 6))
_IMAGENET_RESNETS = tuple(f"imagenet_resnet{depth}" for depth in IMAGENET_BLOCKS)

_VGGS = ("vgg8",)
_BUILDERS = {"resnet": build_resnet, "imagenet_resnet": build_imagenet_resnet, "vgg": build_vgg}

_OPTIONS = {
    "vgg": ("width", "norm", "pixel_mean", "pixel_std"),
    "resnet": ("width", "norm", "pixel_mean", "pixel_std"),
    "imagenet_resnet": ("width", "norm", "stem", "pixel_mean", "pixel_std"),
    "application": ("width", "input_size", "preprocessing", "weights"),
    "file": (),
}


def network_names() -> tuple[str, ...]:
    """The names that `build_network` accepts, besides paths of .keras files."""
    return _RESNETS + _IMAGENET_RESNETS + _VGGS + application_names()


def network_options(name: str) -> tuple[str, ...]:
    """The options of `build_network` for a network; an InputError if it is unknown."""
    return _OPTIONS[_kind(name)]


def build_network(
    name: str, input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Builds the network called `name` with random weights.

    Args:
        name: one of `network_names()`, or the path of a .keras file whose architecture is used.
            Names are case-sensitive: `resnet50` is for small images, `imagenet_resnet50` for larger
            ones, and `ResNet50` is the model of `keras.applications`.
        input_shape: (height, width, channels) of the images.
        num_classes: ≥ 2.
        **options: of the network's builder, as `network_options(name)` lists them. ResNets and vgg8
            take `width` (factor on channels, > 0), `norm` ("frn" or "batch"), `pixel_mean` and
            `pixel_std` (of each channel), larger ones also `stem` ("imagenet" or "small"). Networks
            of `keras.applications` take `width`, `input_size` (pixels to resize to),
            `preprocessing` and `weights` (a local file).

    Returns:
        A Functional model from raw pixels (N×H×W×C, 0…255) to logits (N×num_classes). A model from
            a .keras file may be of another class and may end in a softmax.

    Raises:
        InputError: there is no network with that name, or its builder refuses an argument.

    Example::

        network = bridge_tf.build_network("resnet8", (8, 8, 1), 3, width=0.5)
    """
    kind = _kind(name)
    if kind == "file":
        return build_from_file(name, input_shape, num_classes, **options)
    if kind == "application":
        return build_application(name, input_shape, num_classes, **options)
    depth = int(name.removeprefix(kind))
    return _BUILDERS[kind](depth, input_shape, num_classes, name=name, **options)


def _kind(name: str) -> str:
    if name.endswith(".keras"):
        return "file"
    if name in application_names():
        return "application"
    if name in _RESNETS:
        return "resnet"
    if name in _IMAGENET_RESNETS:
        return "imagenet_resnet"
    if name in _VGGS:
        return "vgg"
    nearest = sorted(network_names(), key=lambda known: -_likeness(known, name))[:3]
    raise InputError(
        f"`model`: no network '{name}'; nearest: {', '.join(nearest)}; or give the path of a "
        ".keras file"
    )


def _likeness(known: str, name: str) -> float:
    return difflib.SequenceMatcher(None, known.lower(), name.lower()).ratio()
