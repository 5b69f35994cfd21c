"""What settings would take at the least, refused before anything of it is allocated."""

import re

from bridge_tf.config.config import Config
from bridge_tf.config.fields import IMAGENET_BLOCKS
from bridge_tf.utils.memory import check_memory

_FLOAT = 4
# Bytes: of a task and its names; of a weight in training, with its gradient and momentum; of a
# curve's weight for each control point, with its momentum.
_TASK, _TRAINED, _POINT = 1500, 3 * _FLOAT, 2 * _FLOAT
_COLOURS = 3


def check_size(config: Config, image_size: int | None = None) -> None:
    """Refuses settings for which the memory of this machine is too small in any case.

    The estimates are lower bounds: what passes may still need too much.

    Args:
        image_size: height and width of the images; default: unknown.

    Raises:
        InputError: which setting, and what would be right.
    """
    batch = config.batch_size
    _check(config, "num_modes", "the names of its tasks", _TASK * _tasks(config), "take fewer")
    for name in ("input_size", "image_size"):
        if name == "image_size" and config.dataset.partition(":")[0] in ("digits", "npz"):
            continue  # it isn't used
        pixels = getattr(config, name) ** 2
        needed = batch * pixels * (_COLOURS * _FLOAT if name == "input_size" else 1)
        _check(config, name, f"batches of {batch:,} images", needed, "take a smaller one")
    padded = batch * (2 * config.crop_padding) ** 2
    _check(config, "crop_padding", f"batches of {batch:,} images", padded, "take a smaller one")
    if image_size:
        needed = _FLOAT * batch * image_size**2
        _check(config, "batch_size", "batches", needed, "take a smaller one")
    weights = least_weights(config)
    changed = "width" if config.width != Config.width else "model"
    _check(config, changed, "trainings of the network", _TRAINED * weights, "take a smaller one")
    bridge = int(16 * config.bridge_width**2)
    _check(config, "bridge_width", "trainings of a bridge", _TRAINED * bridge, "take less")
    check_curve(config, max(weights, 10))


def check_curve(config: Config, weights: int) -> None:
    """Refuses a curve that doesn't fit into memory, between networks of so many weights."""
    needed = _POINT * (config.curve_degree + 1) * weights
    _check(config, "curve_degree", "the control points of a curve", needed, "take a lower one")


def least_weights(config: Config) -> int:
    """A lower bound of the weights of a network that is named; 0 for others.

    It counts 3×3 convolutions of the last stage of a residual network, the last one of a VGG
    network, and the last 1×1 convolution of a MobileNet.
    """
    if config.modes or config.model.endswith(".keras"):
        return 0
    if config.model.startswith("vgg"):
        return int(9 * (128 * config.width) ** 2)
    found = re.fullmatch(r"(imagenet_)?resnet(\d{1,9})", config.model)
    if not found:
        return int(5e4 * config.width**2) if config.model.startswith("MobileNet") else 0
    depth = int(found[2])
    if found[1]:
        blocks, channels = IMAGENET_BLOCKS.get(depth, (0,))[-1], 512
    else:
        blocks, channels = (depth - 2) // 6, 64
    return int(blocks * 9 * (channels * config.width) ** 2)


def _tasks(config: Config) -> int:
    """The number of tasks that every run has: modes, and a curve and a bridge for each pair."""
    modes = config.num_modes
    pairs = modes - 1 if config.bridge_type == 1 else modes * (modes - 1) // 2
    return modes + 2 * pairs


def _check(config: Config, name: str, what: str, needed: float, remedy: str) -> None:
    check_memory(f"`{name}={getattr(config, name)}`", what, int(needed), remedy)
