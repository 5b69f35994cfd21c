"""Traversal of a model's graph, operation by operation."""

from collections.abc import Callable

import keras

from bridge_tf.utils.graph import is_graph


def replay(model, inputs: list, call: Callable) -> list:
    """Runs the graph of `model`, including nested models, on values of any kind.

    Args:
        model: a model that `is_graph` accepts.
        inputs: one value for each of `model.inputs`; one for each of `model.outputs` is returned.
        call: function of a node (one call of an operation) and of a dict from ids of symbolic
            tensors to values; it returns one value for each of `node.outputs`. The order of nodes
            is the same in every replay.
    """
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in nodes_in_order(model):
        inner = _inner_inputs(node)
        if inner is None:
            outputs = call(node, values)
        else:
            outputs = replay(node.operation, [values[id(tensor)] for tensor in inner], call)
        values |= {id(t): output for t, output in zip(node.outputs, outputs, strict=True)}
    return [values[id(tensor)] for tensor in model.outputs]


def nodes_in_order(model) -> list:
    """All calls in a graph, each after those that it reads; inputs are left out."""
    # Only here does Keras show the order of all calls; `operations` has each layer once.
    by_depth = keras.Function(model.inputs, model.outputs)._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def _inner_inputs(node) -> list | None:
    """The arguments of a nested model in the order of its inputs; None for another operation."""
    arguments = node.arguments
    if not is_graph(node.operation) or len(arguments.args) != 1:
        return None
    given = arguments.args[0]
    given = list(given) if isinstance(given, list | tuple) else [given]
    if len(given) != len(node.operation.inputs) or given != arguments.keras_tensors:
        return None
    return given
