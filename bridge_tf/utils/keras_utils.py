"""Helpers for Keras layers: variables, configurations, copies."""

import contextlib
import inspect
import re

import keras
import numpy as np
from keras import ops

from bridge_tf.utils.errors import InputError, reason


class Untracked:
    """Hides a layer from Keras's tracking: it is neither trained nor saved with its owner."""

    def __init__(self, value):
        self.value = value


def is_float(variable) -> bool:
    """Whether a variable is floating-point."""
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(variable.dtype))


def supports_jit(model) -> bool:
    """Whether XLA can compile all layers: random augmentations, for example, don't support it."""
    return all(layer.supports_jit for layer in inner_layers(model))


def copy_values(sources, targets) -> None:
    """Assigns the value of each source variable to the target at the same position."""
    for source, target in zip(sources, targets, strict=True):
        # Through NumPy: on JAX, a training step deletes its buffers, even shared ones.
        target.assign(ops.convert_to_numpy(source))


def to_config(layer) -> dict:
    """The configuration of a layer, without optimizer and losses, but with what was adapted."""
    with _adapted_in_config(layer):
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
def _adapted_in_config(layer):
    """During the block, configurations have what else only `adapt` or a loaded file sets.

    These are the moments of `Normalization` and the vocabularies of lookup layers.
    """
    before = []
    for inner in inner_layers(layer):
        for name, value in _adapted_arguments(inner).items():
            before.append((inner, name, getattr(inner, name)))
            setattr(inner, name, value)
    try:
        yield
    finally:
        for inner, name, value in before:
            setattr(inner, name, value)


def _adapted_arguments(layer) -> dict:
    """The attributes from which Keras makes the configuration of an adapted layer."""
    if isinstance(layer, keras.layers.Normalization) and layer.weights:
        moments = map(ops.convert_to_numpy, (layer.adapt_mean, layer.adapt_variance))
        return dict(zip(("input_mean", "input_variance"), moments, strict=True))
    # A TextVectorization has a StringLookup inside.
    lookups = (keras.layers.StringLookup, keras.layers.IntegerLookup)
    if not isinstance(layer, lookups) or layer.input_vocabulary is not None:
        return {}
    if not layer.get_vocabulary(include_special_tokens=False):
        return {}  # neither adapted nor loaded yet
    vocabulary = np.asarray(layer.get_vocabulary()).tolist()
    found = {"input_vocabulary": vocabulary}
    if layer.output_mode == "tf_idf":
        # Without the zeros of `pad_to_max_tokens`.
        weights = layer.idf_weights_const.numpy()[: len(vocabulary)]
        found["input_idf_weights"] = [float(weight) for weight in weights]
    return found


def check_copyable(model) -> None:
    """Checks that a model's own layers and activations can be made again from their configuration.

    Raises:
        InputError: one can't, so that there can be no curves, bridges or exports of the model.
    """
    for layer in inner_layers(model):
        activation = getattr(layer, "activation", None)
        own = not type(layer).__module__.startswith(("keras.", "bridge_tf."))
        try:
            if callable(activation):
                keras.activations.get(keras.activations.serialize(activation))
            if own and not isinstance(layer, keras.Model):
                type(layer).from_config(layer.get_config())
        except Exception as error:  # the user's code may raise any error
            what = type(layer).__name__ if own else f"its activation {activation.__name__}"
            raise InputError(
                f"layer '{layer.name}' of {model.name} can't be copied, which curves, bridges and "
                f"exports need: {what} isn't made again by its configuration ({reason(error)}); "
                "register it with keras.saving.register_keras_serializable, and give a class "
                "get_config"
            ) from error


def from_plain_config(config: dict, original):
    """Builds a layer from `config`, which is `to_config(original)` or a changed copy of it.

    Raises:
        InputError: Keras can't.
    """
    # Only the user's classes: by name alone, Keras's operation Add would become the layer Add.
    classes = {type(inner) for inner in inner_layers(original)}
    custom_objects = {c.__name__: c for c in classes if not c.__module__.startswith("keras.")}
    try:
        return keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects, safe_mode=False
        )
    except (TypeError, ValueError, AttributeError) as error:
        check_copyable(original)
        raise InputError(
            f"{original.name} can't be copied by its configuration ({cause_of(error)})"
        ) from error


def cause_of(error: Exception) -> str:
    """The cause in a message of Keras, which comes behind much else."""
    # Behind the configurations of all enclosing objects, and the number of other failures.
    text = str(error).rpartition("Exception encountered: ")[2]
    if found := re.search(r"Example error message for object <.*?>:\s*(.+)", text, re.DOTALL):
        text = found[1].partition("List of objects that could not be loaded")[0]
    return reason(Exception(text) if text.strip() else error)


def with_weights_of(original, copy):
    """Assigns the original's weights to `copy`, made from its `to_config` or the reverse."""
    adapted = [*_adapted(original), *_adapted(copy)]
    constant = {id(weight) for layer in adapted for weight in layer.weights}
    for kind in ("trainable_variables", "non_trainable_variables"):
        both = ([v for v in getattr(m, kind) if id(v) not in constant] for m in (original, copy))
        copy_values(*both)
    return copy


def clone(layer, name: str | None = None):
    """A copy of a built layer or model, with its own weights of equal values."""
    copy = with_weights_of(layer, from_plain_config(to_config(layer), layer))
    if name is not None:
        copy.name = name
    return copy


def training_argument(layer, training: bool) -> dict[str, bool]:
    """`training` as `stateless_call` takes it; empty for a layer whose `call` has no such argument.

    Unlike `__call__`, it hands on what it is given.
    """
    parameters = inspect.signature(layer.call).parameters.values()
    takes = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"training": training} if takes else {}


def inner_layers(layer) -> list:
    """`layer` and all layers inside it, at any depth."""
    # Keras has no public way to do this.
    return layer._flatten_layers(include_self=True, recursive=True)


@contextlib.contextmanager
def unrolled(layer):
    """During the block, recurrent layers inside are unrolled."""
    recurrent = [inner for inner in inner_layers(layer) if isinstance(inner, keras.layers.RNN)]
    before = [inner.unroll for inner in recurrent]
    for inner in recurrent:
        inner.unroll = True
    try:
        yield
    finally:
        for inner, unroll in zip(recurrent, before, strict=True):
            inner.unroll = unroll
