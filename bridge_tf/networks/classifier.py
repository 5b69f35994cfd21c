"""The output of a classifier: logits or a softmax."""

import keras
from keras import ops

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import as_functional, is_graph
from bridge_tf.utils.keras_utils import (
    clone,
    from_plain_config,
    inner_layers,
    to_config,
    with_weights_of,
)


def as_classifier(model) -> keras.Model:
    """`as_functional` for a classifier.

    Raises:
        InputError: it doesn't end in N×classes logits or a softmax, or a layer has channels first.
    """
    model = as_functional(model)
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or (shape[1] or 0) < 2:
        raise InputError(
            f"{model.name} gives {shape}; a classifier of one output is needed, N×classes logits "
            "or probabilities of two classes or more"
        )
    if _activation(_output_operation(model)[0]) == "sigmoid":
        raise InputError(
            f"{model.name} ends in a sigmoid, whose classes don't exclude each other; end it in "
            "a softmax or in logits"
        )
    for layer in inner_layers(model):
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"layer '{layer.name}' of {model.name} has its channels first; build the model "
                "with data_format='channels_last'"
            )
    return model


def ends_in_softmax(model) -> bool:
    """Whether a graph ends in a softmax; subclassed models are taken to end in logits."""
    if not is_graph(model):
        return False
    last, _ = _output_operation(model)
    # The layer Softmax and the operation keras.ops.softmax are classes with one name.
    return type(last).__name__ == "Softmax" or _activation(last) == "softmax"


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

    A Sequential model becomes a Functional one; a subclassed model is copied unchanged.
    """
    if not is_graph(model):
        return clone(model)
    model = as_functional(model)
    if not ends_in_softmax(model):
        return clone(model)
    config = to_config(model)
    last = config
    while "layers" in last["config"]:
        last = last["config"]["layers"][-1]
    layer, direct = _output_operation(model)
    if not direct or last["config"].get("name") != layer.name:
        # The softmax can't be removed; the logarithm of its output also gives logits.
        copy = clone(model)
        logits = ops.log(ops.maximum(copy.output, 1.2e-38))
        return keras.Model(copy.input, logits, name=model.name)
    if last["class_name"] == "Softmax":
        last.update(module="keras.layers", class_name="Activation", registered_name=None)
        last["config"] = {"name": last["config"]["name"]}
        for node in last.get("inbound_nodes", ()):
            node["kwargs"] = {}  # a Softmax has a mask or an axis
    last["config"]["activation"] = "linear"
    return with_weights_of(model, from_plain_config(config, model))
