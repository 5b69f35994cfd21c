"""Re-estimating batch-norm statistics for weights that no training step has seen."""

import keras
import numpy as np
from keras import ops

from bridge_tf.layers import Untracked, inner_layers


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
        layer.moving_mean.assign(np.mean(means, axis=0))
        layer.moving_variance.assign(np.mean(variances, axis=0) + np.var(means, axis=0))


def batch_norms(network) -> list:
    """The batch-normalization layers of a network, at any depth."""
    return [
        layer
        for layer in inner_layers(network)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


class _BatchStatistics(keras.Model):
    """Maps a batch to the mean and variance that each batch normalization saw in it."""

    def __init__(self, network, layers):
        super().__init__(name="batch_statistics")
        self.network = network
        self._layers_to_watch = Untracked(layers)

    def call(self, inputs):
        watched = self._layers_to_watch.value
        momenta = [layer.momentum for layer in watched]
        for layer in watched:
            layer.momentum = 0.0  # so that the moving averages become the batch's own
        try:
            before = self.network.non_trainable_variables
            _, after = self.network.stateless_call(
                self.network.trainable_variables, before, inputs, training=True
            )
        finally:
            for layer, momentum in zip(watched, momenta, strict=True):
                layer.momentum = momentum
        state = {id(variable): value for variable, value in zip(before, after, strict=True)}
        # One row a batch, so that `predict` stacks the batches.
        return [
            tuple(
                ops.expand_dims(state[id(variable)], 0)
                for variable in (layer.moving_mean, layer.moving_variance)
            )
            for layer in watched
        ]
