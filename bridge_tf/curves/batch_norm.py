"""Re-estimating batch-norm statistics for weights that no training step has seen."""

import keras
import numpy as np
from keras import ops

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.keras_utils import Untracked, inner_layers


def reestimate_batch_norm(network, data, steps: int | None = None) -> None:
    """Sets the moving averages of `network` to those of `data`, in place.

    Each batch runs in training mode; with batches of equal size the mean of the batch means and,
    by the law of total variance, the mean of the batch variances plus the variance of the batch
    means are the statistics of all the data. Nothing happens without batch normalization. One that
    is called several times gets the statistics of its last call.

    Args:
        network: a built Keras model.
        data: what `keras.Model.predict` takes: arrays, or batches of inputs with or without
            targets. Use training data, augmented as in training.
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
    """Mean and variance of all the data from those of its batches, batches×channels each."""
    return np.mean(means, axis=0), np.mean(variances, axis=0) + np.var(means, axis=0)


def batch_norms(network) -> list:
    """The batch-normalization layers of a network, at any depth."""
    kinds = ((layer, kind_of(layer, derived=True)) for layer in inner_layers(network))
    return [layer for layer, kind in kinds if kind.normalizes == "batch"]


class _BatchStatistics(keras.Model):
    """Maps a batch to the mean and variance that each batch normalization saw in it."""

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
        # One row a batch, so that `predict` stacks the batches.
        return [tuple(ops.expand_dims(value, 0) for value in pair) for pair in statistics]


def batch_statistics(network, layers, weights, state, inputs) -> list[tuple]:
    """The mean and the variance that each batch normalization sees in a batch.

    Args:
        network: a built Keras model.
        layers: its `batch_norms`.
        weights, state: values for its trainable and its other variables.
        inputs: the batch.
    """
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # so that the moving averages become the batch's own
    try:
        _, after = network.stateless_call(weights, state, inputs, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    variables = network.non_trainable_variables
    found = {id(variable): value for variable, value in zip(variables, after, strict=True)}
    return [(found[id(layer.moving_mean)], found[id(layer.moving_variance)]) for layer in layers]
