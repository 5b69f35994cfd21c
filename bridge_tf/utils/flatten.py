"""Nested models as one graph: the layers of a backbone beside those around it."""

import inspect
from typing import Any

import keras

from bridge_tf.utils.graph import as_functional, is_graph
from bridge_tf.utils.keras_utils import from_plain_config, to_config, with_weights_of
from bridge_tf.utils.walk import nodes_in_order

# Between the names of a nested model and of its layer; Keras allows no slash.
SEPARATOR = "."


def flattened(model: keras.Model, prefixes: bool = True) -> keras.Model:
    """A copy of a graph without nested graphs; `model` itself if there are none.

    The layer `conv` of the nested model `backbone` is called `backbone.conv`. Where a nested model
    is called with `training`, so are its layers. Layers that are frozen stay so. Without `prefixes`
    layers keep their names, which must then be unique.
    """
    model = as_functional(model)
    if not any(is_graph(item) for item in model.operations):
        return model
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), model.input
    )
    copies: dict[int, Any] = {}

    def run(graph, values: list, prefix: str, training: bool | None) -> list:
        known = {id(tensor): x for tensor, x in zip(graph.inputs, values, strict=True)}
        for node in nodes_in_order(graph):
            item = node.operation
            args, kwargs = node.arguments.fill_in(known)
            told = kwargs.get("training")
            told = training if told is None else told
            if is_graph(item):
                given = keras.tree.flatten(args)
                inside = f"{prefix}{item.name}{SEPARATOR}" if prefixes else ""
                outputs = run(item, given, inside, told)
            else:
                if id(item) not in copies:
                    copies[id(item)] = _copy(item, prefix + item.name)
                if told is not None and "training" in inspect.signature(item.call).parameters:
                    kwargs["training"] = told
                outputs = keras.tree.flatten(copies[id(item)](*args, **kwargs))
            known |= {id(t): x for t, x in zip(node.outputs, outputs, strict=True)}
        return [known[id(tensor)] for tensor in graph.outputs]

    outputs = run(model, keras.tree.flatten(inputs), "", None)
    packed = keras.tree.pack_sequence_as(model.output, outputs)
    return keras.Model(inputs, packed, name=model.name)


def _copy(item, name: str):
    """A copy of a layer with equal weights, or of an operation, under a new name."""
    if not isinstance(item, keras.Layer):
        copy = type(item).from_config(item.get_config())
        copy.name = name
        return copy
    config = to_config(item)
    config["config"]["name"] = name
    return with_weights_of(item, from_plain_config(config, item))
