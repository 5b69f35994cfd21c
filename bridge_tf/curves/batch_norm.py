"""Re-estimation of batch-norm statistics, for weights that come from no training step."""

import keras
import numpy as np
from keras import ops

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.keras_utils import Untracked, inner_layers


def reestimate_batch_norm(network, data, steps: int | None = None) -> None:
    """Sets the moving averages of `network` to the statistics of `data`, in place.

    Each batch runs in training mode. With batches of equal size, results are exact (law of total
    variance). A layer that is called several times gets the statistics of its last call.

    Args:
        network: a built Keras model; unchanged if it has no batch normalization.
        data: training data with the augmentation of training, in a form that `keras.Model.predict`
            accepts: arrays, or batches of inputs with or without targets.
        steps: number of batches to use, for endless data.
    """
    layers = batch_norms(network)
    if not layers:
        return
    statistics = _BatchStatistics(network, layers).predict(data, steps=steps, verbose=0)
    for layer, (means, variances) in zip(layers, statistics, strict=True):
        mean, variance = pooled(means, variances)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def pooled(means, variances) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over all data, from those of the batches, batches×channels each."""
    return np.mean(means, axis=0), np.mean(variances, axis=0) + np.var(means, axis=0)


def batch_norms(network) -> list:
    """The batch-normalization layers of a network, at any depth."""
    kinds = ((layer, kind_of(layer, derived=True)) for layer in inner_layers(network))
    return [layer for layer, kind in kinds if kind.normalizes == "batch"]


def unsettled(network, steps: int) -> float:
    """What moving averages still hold of their first values after `steps` of training.

    The largest share over the layers, `momentum`**`steps`, in [0, 1]; 0 without batch
    normalization.
    """
    return max((layer.momentum**steps for layer in batch_norms(network)), default=0.0)


class _BatchStatistics(keras.Model):
    """Maps a batch to the mean and variance at each batch normalization."""

    def __init__(self, network, layers):
        super().__init__(name="batch_statistics")
        self.network = network
        self._layers_to_watch = Untracked(layers)

    def call(self, inputs):
        network = self.network
        statistics = batch_statistics(
            network,
            self._layers_to_watch.value,
            network.trainable_variables,
            network.non_trainable_variables,
            inputs,
        )
        # One row for each batch, so that `predict` stacks them.
        return [tuple(ops.expand_dims(value, 0) for value in pair) for pair in statistics]


def batch_statistics(network, layers, weights, state, inputs) -> list[tuple]:
    """The mean and variance of a batch at each of a network's `batch_norms`, for any weights."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # so that the moving averages become those of the batch
    try:
        _, after = network.stateless_call(weights, state, inputs, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    variables = network.non_trainable_variables
    found = {id(variable): value for variable, value in zip(variables, after, strict=True)}
    return [(found[id(layer.moving_mean)], found[id(layer.moving_variance)]) for layer in layers]
