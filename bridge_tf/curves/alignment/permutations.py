"""Permutations of a model's weights: permutation p of a space moves neuron p[i] to place i.

There is one array for each free space, in the order of `Structure.sizes`.
"""

import numpy as np
from keras import ops

from bridge_tf.curves.alignment.spaces import Axis, Structure, weights_of

Permutations = list[np.ndarray]


def identities(structure: Structure) -> Permutations:
    """The permutations that change nothing."""
    return [np.arange(size) for size in structure.sizes]


def order(axis: Axis, permutations: Permutations) -> np.ndarray:
    """The old indices of an axis's entries in their new order."""
    places, offset = [], 0
    for space, size in axis.segments:
        local = np.arange(size) if space is None else permutations[space]
        places.append(offset + local)
        offset += size
    return np.concatenate(places)


def permute(model, structure: Structure, permutations: Permutations) -> None:
    """Permutes the neurons of a model in place; its function stays the same."""
    weights = weights_of(model)
    touched: dict[int, list[Axis]] = {}
    for axis in structure.axes:
        touched.setdefault(axis.weight, []).append(axis)
    for weight, axes in touched.items():
        value = ops.convert_to_numpy(weights[weight])
        for axis in axes:
            value = np.take(value, order(axis, permutations), axis.axis)
        weights[weight].assign(value)
