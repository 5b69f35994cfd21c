"""Architectures from .keras files, with new random weights."""

import contextlib

import keras
from keras import ops

from bridge_tf.networks.classifier import check_exclusive
from bridge_tf.networks.loading import read_model
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.keras_utils import from_plain_config, inner_layers, to_config


def build_from_file(path, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """The architecture in a .keras file with new random weights, as in `fresh_copy`.

    The file has a classifier of images, N×height×width×channels, with logits or probabilities; of
    two classes it may have one unit. Custom layer classes must be registered with Keras.

    Raises:
        InputError: the file is missing, damaged or can't be loaded, or doesn't fit the data.
    """
    model = read_model(path, "model")
    inputs, outputs = _shapes(model, (None, *input_shape), path)
    if not fits(inputs, (None, *input_shape)) or not fits_classes(outputs, num_classes):
        raise InputError(
            f"`model={path}`: maps {inputs} to {outputs}, but the images and classes need "
            f"{(None, *input_shape)} to {(None, num_classes)}{size_remedy(inputs, input_shape)}"
        )
    check_exclusive(model, f"`model={path}`:")
    return fresh_copy(model)


def size_remedy(inputs, image_shape: tuple[int, int, int]) -> str:
    """What would make images fit a network that takes other, square ones; else nothing."""
    given = tuple(image_shape)
    match inputs:
        case (_, int(size), *_) if (size, size, given[-1]) == inputs[1:] != given:
            return f"; `image_size={size}` resizes them"
    return ""


def _shapes(model, images: tuple, path) -> tuple:
    """The shapes of a model's input and output; open sizes come from `images`."""
    with contextlib.suppress(AttributeError):  # no static shapes
        return model.input_shape, model.output_shape
    try:
        if not model.built:
            model.build_from_config({"input_shape": images})
        outputs = model.compute_output_spec(keras.KerasTensor(images))
    except Exception as error:  # the user's code may raise any error
        raise InputError(
            f"`model={path}`: can't be called on images of shape {images} ({reason(error)})"
        ) from error
    return images, keras.tree.map_structure(lambda tensor: tensor.shape, outputs)


def fits(shape, wanted: tuple) -> bool:
    """Whether a model's shape is `wanted`; a None in the shape matches all sizes."""
    return (
        isinstance(shape, tuple)
        and len(shape) == len(wanted)
        and all(size in (None, want) for size, want in zip(shape, wanted, strict=True))
    )


def fits_classes(shape, num_classes: int) -> bool:
    """Whether a model's output is of so many classes: a unit for each, or of two classes one."""
    return fits(shape, (None, num_classes)) or (num_classes == 2 and fits(shape, (None, 1)))


def fresh_copy(model: keras.Model) -> keras.Model:
    """A model of the same architecture, with new weights drawn by Keras's global seed.

    Seeds in the configurations of initializers are removed, because they would make all modes
    equal; a seed in the code of a class stays. Constants are kept: the weights of frozen layers
    (`trainable=False`), and the moments of adapted `Normalization` layers. Other moving averages
    are reset. Optimizer and losses are left out.

    Raises:
        InputError: the class overrides `get_build_config`, so the copy isn't built.
    """
    copy = from_plain_config(_fresh(to_config(model)), model)
    if not copy.built:
        raise InputError(
            f"`model`: {type(model).__name__} isn't built by its configuration; its class needs "
            "get_build_config, which Keras provides unless it is overridden"
        )
    for original, layer in zip(inner_layers(model), inner_layers(copy), strict=True):
        if not original.trainable and layer.weights:
            store = {}
            original.save_own_variables(store)
            # Through NumPy, as in `copy_values`.
            layer.load_own_variables({k: ops.convert_to_numpy(v) for k, v in store.items()})
    return copy


def _fresh(config, initializer: bool = False):
    """A copy of a layer's configuration without initializers' seeds and the compile state."""
    if isinstance(config, list | tuple):
        return type(config)(_fresh(item, initializer) for item in config)
    if not isinstance(config, dict):
        return config
    initializer = initializer or str(config.get("module")).startswith("keras.initializers")
    return {
        key: _fresh(value, initializer or key.endswith("initializer"))
        for key, value in config.items()
        if key != "compile_config" and not (initializer and key == "seed")
    }
