"""The output of a classifier: logits or a softmax."""

import weakref

import keras
import numpy as np
from keras import ops

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.flatten import flattened
from bridge_tf.utils.graph import is_graph
from bridge_tf.utils.keras_utils import (
    clone,
    from_plain_config,
    inner_layers,
    to_config,
    with_weights_of,
)

TINY = 1.2e-38  # the smallest normal float32


def as_classifier(model) -> keras.Model:
    """A classifier as a plain Functional model without nested models, see `flattened`.

    Raises:
        InputError: it doesn't end in N×classes logits or a softmax, or a layer has channels first.
    """
    model = flattened(model)
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or (shape[1] or 0) < 2:
        raise InputError(
            f"{model.name} gives {shape}; a classifier of one output is needed, N×classes logits "
            "or probabilities of two classes or more"
        )
    _check_exclusive(model)
    for layer in inner_layers(model):
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"layer '{layer.name}' of {model.name} has its channels first; build the model "
                "with data_format='channels_last'"
            )
    return model


def _check_exclusive(model) -> None:
    if _activation(_output_operation(model)[0]) == "sigmoid":
        raise InputError(
            f"{model.name} ends in a sigmoid, whose classes don't exclude each other; end it in "
            "a softmax or in logits"
        )


def ends_in_softmax(model) -> bool:
    """Whether a classifier predicts probabilities, whatever its last layer is.

    Where that layer doesn't tell, the values do: the rows of its outputs for random inputs are
    then non-negative and sum to 1. A model that can't be called on these is taken to give logits.
    """
    if is_graph(model):
        last, _ = _output_operation(model)
        if _is_softmax(last):
            return True
        # New channels, as a dense layer's, may be negative.
        if kind_of(last).channels == "new" and _activation(last) == "linear":
            return False
    if model not in _seen:
        _seen[model] = _gives_probabilities(model)
    return _seen[model]


def _is_softmax(layer) -> bool:
    # The layer Softmax and the operation keras.ops.softmax are classes with one name.
    return type(layer).__name__ == "Softmax" or _activation(layer) in ("softmax", "softmax_v2")


# What was found by values: models may be large.
_seen: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _gives_probabilities(model) -> bool:
    generator = np.random.default_rng(0)

    def drawn(shape, dtype) -> np.ndarray:
        sizes = [8, *(32 if size is None else size for size in shape[1:])]
        return generator.uniform(0, 2, sizes).astype(dtype)

    try:
        inputs = keras.tree.map_structure(
            lambda x: drawn(x.shape, x.dtype), _symbolic_inputs(model)
        )
        outputs = ops.convert_to_numpy(ops.cast(model(inputs, training=False), "float32"))
    except Exception:  # the user's code may raise any error
        return False
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-2))


def _symbolic_inputs(model):
    """The inputs of a model; of a subclassed one, those that it was built with."""
    if is_graph(model):
        return model.input
    shape = model.get_build_config()["input_shape"]
    return keras.Input(shape[1:], dtype=model.input_dtype)


def _activation(layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")


def _output_operation(model) -> tuple:
    """The operation that computes the output, also in a nested model; whether it is the last."""
    direct = True
    tensor = model.outputs[0]
    while True:
        layer = tensor._keras_history.operation
        if is_graph(layer):
            tensor = layer.outputs[0]
        elif kind_of(layer).same_numbers and keras.tree.flatten(layer.input):
            direct, tensor = False, keras.tree.flatten(layer.input)[0]
        else:
            return layer, direct


def logits_copy(model) -> keras.Model:
    """A copy of a classifier that outputs logits, even if `model` ends in a softmax.

    A Sequential model becomes a Functional one; a sigmoid is refused. A subclassed model is copied
    unchanged; if it gives probabilities, the copy is a layer of a Functional model.
    """
    if not is_graph(model):
        copy = clone(model)
        if not ends_in_softmax(model):
            return copy
        inputs = _symbolic_inputs(model)
        return keras.Model(inputs, _as_logits(copy(inputs)), name=model.name)
    model = flattened(model)
    _check_exclusive(model)
    if not ends_in_softmax(model):
        return clone(model)
    config = to_config(model)
    last = config["config"]["layers"][-1]
    layer, direct = _output_operation(model)
    if not direct or not _is_softmax(layer) or last["config"].get("name") != layer.name:
        # The softmax can't be removed; the logarithm of its output also gives logits.
        copy = clone(model)
        return keras.Model(copy.input, _as_logits(copy.output), name=model.name)
    if last["class_name"] == "Softmax":
        last.update(module="keras.layers", class_name="Activation", registered_name=None)
        last["config"] = {"name": last["config"]["name"]}
        for node in last.get("inbound_nodes", ()):
            node["kwargs"] = {}  # a Softmax has a mask or an axis
    last["config"]["activation"] = "linear"
    return with_weights_of(model, from_plain_config(config, model))


def _as_logits(probabilities):
    return ops.log(ops.maximum(probabilities, TINY))
