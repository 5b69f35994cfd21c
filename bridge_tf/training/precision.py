"""Mixed precision: the layers of a model compute in bfloat16 while it is trained."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from bridge_tf.utils.graph import is_graph, operation_behind
from bridge_tf.utils.keras_utils import Untracked, inner_layers

# Pixels keep all their bits.
_EXACT = (keras.layers.Normalization, keras.layers.Rescaling)


@contextlib.contextmanager
def computing_in(precision: str, model: keras.Model) -> Iterator[None]:
    """During the block, layers of float32 compute in `precision`.

    Their weights stay float32, and so do the layers that scale pixels and those that give the
    outputs of a Functional or Sequential model, for the sake of the loss (as in Keras's guide to
    mixed precision). Layers that have a policy of their own keep it.

    Args:
        precision: "float32", which changes nothing, or "mixed_bfloat16".
        model: whose training, validation included, is traced in the block.
    """
    if precision == "float32":
        yield
        return
    layers = _layers(model)
    exact = {id(layer) for layer in layers if isinstance(layer, _EXACT)}
    for layer in layers:
        exact.update(map(id, _outputs(layer)))
    before = [(layer, layer.dtype_policy) for layer in layers if id(layer) not in exact]
    before = [(layer, policy) for layer, policy in before if policy.name == "float32"]
    try:
        for layer, _ in before:
            layer.dtype_policy = keras.DTypePolicy(precision)
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def _layers(model: Any) -> list:
    """All layers of a model, with those that Keras doesn't track."""
    found = inner_layers(model)
    for layer in [*found]:
        for value in vars(layer).values():
            if isinstance(value, Untracked) and isinstance(value.value, keras.Layer):
                found += _layers(value.value)
    return found


def _outputs(layer: Any) -> list:
    """The layers that compute the outputs of a graph."""
    if not is_graph(layer):
        return []
    found = []
    for tensor in keras.tree.flatten(layer.outputs):
        operation = operation_behind(tensor)
        found += [operation, *_outputs(operation)]
    return found
