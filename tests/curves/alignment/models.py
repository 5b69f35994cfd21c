"""Models whose weights would show a wrong permutation."""

import keras
import numpy as np

from bridge_tf.curves.alignment.permutations import permute
from bridge_tf.curves.alignment.spaces import find_structure, weights_of
from bridge_tf.utils.keras_utils import clone, inner_layers, is_float


def with_random_weights(model, seed: int, data=None):
    """`model` with its weights away from initial zeros and ones, its variances positive.

    With `data`, batch normalization has the statistics of the data, give or take a factor, so
    that the signal dies out in no depth.
    """
    generator = np.random.default_rng(seed)
    for variable in filter(is_float, model.variables):
        value = np.asarray(variable)
        scale = 0.2 if value.ndim < 2 else value.std()
        value = value + generator.normal(0, scale, value.shape)
        variable.assign(np.abs(value) + 0.3 if "variance" in variable.path else value)
    for layer in inner_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    norms = [x for x in inner_layers(model) if isinstance(x, keras.layers.BatchNormalization)]
    if data is not None and norms:
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        model(data, training=True)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            noise = generator.uniform(1, 1.5, norm.moving_variance.shape)
            norm.moving_variance.assign(norm.moving_variance * noise)
    return model


def shuffled(model, seed: int = 5):
    """A copy of `model` with its neurons in random order."""
    generator = np.random.default_rng(seed)
    copy = clone(model)
    structure = find_structure(copy)
    permute(copy, structure, [generator.permutation(size) for size in structure.sizes])
    return copy


def outputs(model, data) -> np.ndarray:
    """The outputs of a model, side by side, checked to depend on the inputs."""
    flat = [np.asarray(y) for y in keras.tree.flatten(model(data, training=False))]
    found = np.concatenate([y.reshape(len(y), -1) for y in flat], axis=1)
    assert found.std(axis=0).max() > 1e-3 * np.abs(found).max()
    return found


def largest_difference(one, other) -> float:
    """Of the weights of two models."""
    pairs = zip(weights_of(one), weights_of(other), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs if is_float(a))
