"""Small helpers over Keras layers that several rooms share."""

import contextlib

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
    """The architecture of `layer` as plain data, without its optimizer and losses.

    The moments of adapted `Normalization` layers are in it as constants.
    """
    with _moments_in_config(_adapted(layer)):
        config = keras.saving.serialize_keras_object(layer)
    config.pop("compile_config", None)
    return config


def _adapted(layer) -> list[keras.layers.Normalization]:
    return [
        inner
        for inner in inner_layers(layer)
        if isinstance(inner, keras.layers.Normalization) and inner.weights
    ]


@contextlib.contextmanager
def _moments_in_config(layers: list[keras.layers.Normalization]):
    """While it lasts, the layers' configurations hold their moments.

    Keras computes with moments that it takes from these layers' variables only in `adapt` and in
    loading, so that copies which merely assign variables would compute with others.
    """
    for layer in layers:
        layer.input_mean = ops.convert_to_numpy(layer.adapt_mean)
        layer.input_variance = ops.convert_to_numpy(layer.adapt_variance)
    try:
        yield
    finally:
        for layer in layers:
            layer.input_mean = layer.input_variance = None


def from_plain_config(config: dict, original):
    """Builds the layer of `config`, as `to_config` of `original` gives it or changed since."""
    # Classes of the user's own need no registration for a copy within one process. Keras knows its
    # own by module and name; by name alone the operation Add would become the layer Add.
    classes = {type(inner) for inner in inner_layers(original)}
    custom_objects = {c.__name__: c for c in classes if not c.__module__.startswith("keras.")}
    return keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects, safe_mode=False
    )


def with_weights_of(original, copy):
    """`copy`, built from the original's `to_config` or the other way round, once it has the
    original's weights.
    """
    adapted = [*_adapted(original), *_adapted(copy)]
    constant = {id(weight) for layer in adapted for weight in layer.weights}
    for kind in ("trainable_variables", "non_trainable_variables"):
        both = ([v for v in getattr(m, kind) if id(v) not in constant] for m in (original, copy))
        copy_values(*both)
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


@contextlib.contextmanager
def unrolled(layer):
    """While it lasts, recurrent layers inside run as a chain of steps, not as a loop."""
    recurrent = [inner for inner in inner_layers(layer) if isinstance(inner, keras.layers.RNN)]
    before = [inner.unroll for inner in recurrent]
    for inner in recurrent:
        inner.unroll = True
    try:
        yield
    finally:
        for inner, unroll in zip(recurrent, before, strict=True):
            inner.unroll = unroll
