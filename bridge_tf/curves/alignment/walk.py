"""Going through the graph of a model, operation by operation."""

from collections.abc import Callable

import keras

from bridge_tf.utils.graph import is_graph


def replay(model, inputs: list, call: Callable) -> list:
    """Runs the graph of `model` on values of any kind; models inside it are gone through too.

    Args:
        model: a model that `is_graph` accepts.
        inputs: one value for each of `model.inputs`.
        call: gets the node and its values by the id of their symbolic tensors, returns one value
            for each of `node.outputs`. A node is one call of one operation; the order of the
            calls is the same at every replay.

    Returns:
        One value for each of `model.outputs`.
    """
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in _nodes(model):
        inner = _inner_inputs(node)
        if inner is None:
            outputs = call(node, values)
        else:
            outputs = replay(node.operation, [values[id(tensor)] for tensor in inner], call)
        values |= {id(t): output for t, output in zip(node.outputs, outputs, strict=True)}
    return [values[id(tensor)] for tensor in model.outputs]


def _nodes(model) -> list:
    # Keras shows its operations, but not which call of a layer comes when, except here.
    by_depth = keras.Function(model.inputs, model.outputs)._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def _inner_inputs(node) -> list | None:
    """What a model inside the graph is called on, in the order of its inputs; else None."""
    arguments = node.arguments
    if not is_graph(node.operation) or len(arguments.args) != 1:
        return None
    given = arguments.args[0]
    given = list(given) if isinstance(given, list | tuple) else [given]
    if len(given) != len(node.operation.inputs) or given != arguments.keras_tensors:
        return None
    return given
