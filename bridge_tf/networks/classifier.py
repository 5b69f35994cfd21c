"""The output of a classifier: logits or probabilities, of two units or more or of a single one.

A single unit gives a logit z of class 1, or its probability, a sigmoid. Such a classifier stays as
it is in training. `logits_copy` makes it one of two classes for bridges, ensembles and predictions:
the logits -z/2 and z/2, whose softmax is 1 - sigmoid(z) and sigmoid(z).
"""

import functools
import weakref
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.flatten import flattened
from bridge_tf.utils.graph import is_graph, operation_behind
from bridge_tf.utils.keras_utils import (
    clone,
    from_plain_config,
    inner_layers,
    to_config,
    with_weights_of,
)

TINY = 1.2e-38  # the smallest normal float32
# The names of activations and operations that give probabilities.
_SOFTMAX, _SIGMOID = ("softmax", "softmax_v2"), ("sigmoid",)
# How random weights grow from draw to draw: a logit leaves [0, 1] with some of them.
_FACTORS = (1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2)


def as_classifier(model) -> keras.Model:
    """A classifier as a plain Functional model without nested models, see `flattened`.

    Raises:
        InputError: it doesn't end in logits or probabilities, N×classes, or N×1 for two classes; or
            a layer has channels first.
    """
    model = flattened(model)
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or not shape[1]:
        raise InputError(
            f"{model.name} gives {shape}; a classifier of one output is needed, N×classes logits "
            "or probabilities, or N×1 for two classes"
        )
    check_exclusive(model)
    for layer in inner_layers(model):
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"layer '{layer.name}' of {model.name} has its channels first; build the model "
                "with data_format='channels_last'"
            )
    return model


def check_exclusive(model, name: str = "") -> None:
    """Raises an InputError that begins with `name` if a model is a multi-label classifier.

    It ends in a sigmoid of several units. So is a softmax of one unit refused, which is always 1.
    """
    if (last := _last(model)) is None:
        return
    units, name = num_units(model), name or model.name
    if units and units > 1 and _is(last, _SIGMOID):
        raise InputError(
            f"{name} ends in a sigmoid of {units} units, whose classes don't exclude each other; "
            "multi-label classifiers can't be ensembled: end it in a softmax or in logits"
        )
    if units == 1 and _is(last, _SOFTMAX):
        raise InputError(
            f"{name} ends in a softmax of one unit, which is always 1; end it in a sigmoid"
        )


def num_units(model) -> int | None:
    """The units of a classifier's output, 1 for two classes; None if it has no such output."""
    graph = _graph(model)
    shape = getattr(_tried(model), "shape", None) if graph is None else graph.output_shape
    return shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None


def gives_probabilities(model) -> bool:
    """Whether a classifier predicts probabilities, whatever its last layer is.

    Where that layer doesn't tell, the values do: the rows of its outputs for random inputs are then
    non-negative and sum to 1. Those of a single unit lie in [0, 1] for any weights. A model that
    can't be called on random inputs is taken to give logits.

    Raises:
        InputError: it is a multi-label classifier, see `check_exclusive`.
    """
    check_exclusive(model)
    if (last := _last(model)) is not None:
        if _is(last, (*_SOFTMAX, *_SIGMOID)):
            return True
        # New channels, as a dense layer's, may be negative.
        if kind_of(last).channels == "new" and _activation(last) == "linear":
            return False
    outputs = _tried(model)
    if outputs is None:
        return False
    if num_units(model) == 1:
        return bool((outputs >= 0).all() and (outputs <= 1).all())
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-2))


def _is(layer, names: tuple[str, ...]) -> bool:
    # The layer Softmax and the operation keras.ops.softmax are classes with one name.
    return type(layer).__name__.lower() in names or _activation(layer) in names


def _activation(layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")


def _once(function: Callable) -> Callable:
    """Keeps what a function finds of a model, which may be large; it tries again after a None."""
    found: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    def kept(model):
        if (result := found.get(model)) is None and (result := function(model)) is not None:
            found[model] = result
        return result

    return kept


def _graph(model) -> keras.Model | None:
    return model if is_graph(model) else _traced(model)


@_once
def _traced(model) -> keras.Model | None:
    """The graph of what a subclassed model calls, if Keras can trace it."""
    try:
        inputs = _symbolic_inputs(model)
        return keras.Model(inputs, clone(model).call(inputs))
    except Exception:  # the user's code may raise any error
        return None


def _last(model):
    """The operation that computes the output, if there is a graph of one output."""
    graph = _graph(model)
    one = graph is not None and len(graph.outputs) == 1
    return _output_operation(graph)[0] if one else None


@_once
def _tried(model) -> np.ndarray | None:
    """The outputs of a model for random inputs; of a single unit also for random weights."""
    generator = np.random.default_rng(0)

    def drawn(shape, dtype) -> np.ndarray:
        sizes = [8, *(32 if size is None else size for size in shape[1:])]
        return generator.uniform(0, 2, sizes).astype(dtype)

    try:
        inputs = keras.tree.map_structure(
            lambda x: drawn(x.shape, x.dtype), _symbolic_inputs(model)
        )
        found = [_numbers(model(inputs, training=False))]
        if found[0].shape[1:] == (1,):
            copy = clone(model)
            for factor in _FACTORS:
                _randomize(copy, factor, generator)
                found.append(_numbers(copy(inputs, training=False)))
    except Exception:  # the user's code may raise any error
        return None
    outputs = [each for each in found if np.isfinite(each).all()]
    return np.concatenate(outputs) if outputs else None


def _randomize(model, factor: int, generator) -> None:
    """Draws trainable and frozen weights at random, `factor` times as large as they are."""
    for variable in model.variables:
        if variable.trainable or variable.name in ("kernel", "bias"):
            spread = factor * (np.abs(_numbers(variable)).mean() + 0.1)
            variable.assign(generator.normal(0, spread, variable.shape))


def _numbers(outputs) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(outputs, "float32"))


def _symbolic_inputs(model):
    """The inputs of a model; of a subclassed one, those that it was built with."""
    if is_graph(model):
        return model.input
    shape = model.get_build_config()["input_shape"]
    return keras.Input(shape[1:], dtype=model.input_dtype)


def _output_operation(model) -> tuple:
    """The operation that computes the output, also in a nested model; whether it is the last."""
    direct = True
    tensor = model.outputs[0]
    while True:
        layer = operation_behind(tensor)
        if is_graph(layer):
            tensor = layer.outputs[0]
        elif kind_of(layer).same_numbers and keras.tree.flatten(layer.input):
            direct, tensor = False, keras.tree.flatten(layer.input)[0]
        else:
            return layer, direct


def logits_copy(model) -> keras.Model:
    """A copy of a classifier that outputs logits, N×classes, whatever `model` ends in.

    A Sequential model becomes a Functional one. A subclassed model is copied unchanged if it gives
    these; else the copy is a layer of a Functional model.

    Raises:
        InputError: it is a multi-label classifier, see `check_exclusive`.
    """
    if not is_graph(model):
        copy, probabilities = clone(model), gives_probabilities(model)
        if not probabilities and num_units(model) != 1:
            return copy
        inputs = _symbolic_inputs(model)
        return _ended(keras.Model(inputs, copy(inputs), name=model.name), probabilities)
    model = flattened(model)
    probabilities = gives_probabilities(model)
    shorter = _without_end(model) if probabilities else None
    if shorter is not None:
        return _ended(shorter, probabilities=False)
    return _ended(clone(model), probabilities)


def _without_end(model) -> keras.Model | None:
    """A copy of a graph without the softmax or sigmoid at its end; None if it can't be removed."""
    config = to_config(model)
    last = config["config"]["layers"][-1]
    layer, direct = _output_operation(model)
    removable = direct and _is(layer, (*_SOFTMAX, *_SIGMOID))
    if not removable or last["config"].get("name") != layer.name:
        return None
    if last["class_name"] in ("Softmax", "Sigmoid"):
        last.update(module="keras.layers", class_name="Activation", registered_name=None)
        last["config"] = {"name": last["config"]["name"]}
        for node in last.get("inbound_nodes", ()):
            node["kwargs"] = {}  # a Softmax has a mask or an axis
    last["config"]["activation"] = "linear"
    return with_weights_of(model, from_plain_config(config, model))


def _ended(model, probabilities: bool) -> keras.Model:
    """A graph of logits or probabilities, ended so that it gives logits, N×classes."""
    outputs, binary = model.output, model.output_shape[-1] == 1
    if not probabilities and not binary:
        return model
    if probabilities:
        p = ops.cast(outputs, "float32") if binary else outputs
        outputs = _log(p) - _log(1 - p) if binary else _log(p)
    if binary:
        # Layers, which bodies of bridges and compression know.
        halves = [
            keras.layers.Rescaling(share, name=f"binary_class{k}", dtype="float32")(outputs)
            for k, share in enumerate((-0.5, 0.5))
        ]
        outputs = keras.layers.Concatenate(name="binary_logits", dtype="float32")(halves)
    return keras.Model(model.input, outputs, name=model.name)


def _log(probabilities):
    return ops.log(ops.maximum(probabilities, TINY))
