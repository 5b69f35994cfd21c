"""Small helpers over Keras layers that several rooms share."""

import keras
from keras import ops


class Untracked:
    """Holds a layer out of sight of Keras's tracking of attributes.

    A Keras layer collects the variables of every layer it finds in its attributes; what this
    holds is neither trained nor saved with its owner.
    """

    def __init__(self, value):
        self.value = value


def is_float(variable) -> bool:
    """Whether a variable holds floating-point numbers."""
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(variable.dtype))


def copy_values(sources, targets) -> None:
    """Assigns each source variable's value to the target of its place."""
    for source, target in zip(sources, targets, strict=True):
        # Through NumPy: on JAX a shared buffer would be gone once its first owner's training
        # step donates it.
        target.assign(ops.convert_to_numpy(source))


def to_config(layer) -> dict:
    """The architecture of `layer` as plain data, without its optimizer and losses."""
    config = keras.saving.serialize_keras_object(layer)
    config.pop("compile_config", None)
    return config


def from_plain_config(config: dict, original):
    """Builds the layer of `config`, as `to_config` of `original` gives it or changed since."""
    # Classes of the user's own need no registration for a copy within one process.
    custom_objects = {type(inner).__name__: type(inner) for inner in inner_layers(original)}
    return keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects, safe_mode=False
    )


def with_weights_of(original, copy):
    """`copy`, once it has the values of the original's weights."""
    for kind in ("trainable_variables", "non_trainable_variables"):
        copy_values(getattr(original, kind), getattr(copy, kind))
    return copy


def clone(layer, name: str | None = None):
    """A copy of a built layer or model with weights of its own, equal to the original's."""
    copy = with_weights_of(layer, from_plain_config(to_config(layer), layer))
    if name is not None:
        copy.name = name
    return copy


def inner_layers(layer) -> list:
    """`layer` and all the layers inside it, at any depth."""
    # Keras has no public walk over layers held by other layers than models.
    return layer._flatten_layers(include_self=True, recursive=True)
