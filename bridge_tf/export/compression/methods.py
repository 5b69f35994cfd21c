"""The ways to compress a flat `tf_keras` model, by TensorFlow Model Optimization.

Each takes a model and a function that trains it, `fit(model, callbacks)`, and returns the
compressed model, trained again.
"""

import functools
from collections.abc import Callable

import tensorflow_model_optimization as tfmot
import tf_keras

from bridge_tf.export.compression.quantize_configs import InFloat, config_of, kind_of
from bridge_tf.export.compression.tf_keras_layers import LAYERS


def qat(model, fit: Callable, settings: dict, steps: int):
    """Trains with weights and activations rounded to 8 bits (Jacob et al., CVPR 2018, section 3).

    Moving averages of batch normalization stay fixed, since they are folded into rounded weights.
    """
    quantization = tfmot.quantization.keras
    configs = {layer.name: config_of(layer) for layer in model.layers}

    def annotated(layer):
        return quantization.quantize_annotate_layer(layer, configs[layer.name])

    with quantization.quantize_scope({**LAYERS, "InFloat": InFloat}):
        wrapped = tf_keras.models.clone_model(model, clone_function=annotated)
        compressed = quantization.quantize_apply(wrapped)
    for layer in compressed.layers:
        if kind_of(getattr(layer, "layer", layer)).normalizes == "batch":
            layer.trainable = False
    fit(compressed)
    return compressed


def prune(model, fit: Callable, settings: dict, steps: int):
    """Sets a growing share of the smallest weights to 0 (Zhu and Gupta, 2017, equation 1).

    The final share is reached after half of the steps.
    """
    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=settings["sparsity"],
        begin_step=0,
        end_step=max(1, steps // 2),
        frequency=max(1, steps // 100),
    )
    wrap = functools.partial(sparsity.prune_low_magnitude, pruning_schedule=schedule)
    callbacks = [sparsity.UpdatePruningStep()]
    return _train_wrapped(model, fit, wrap, sparsity.strip_pruning, callbacks)


def cluster(model, fit: Callable, settings: dict, steps: int):
    """Lets the weights of a layer share a few values (Han et al., ICLR 2016, section 3)."""
    clustering = tfmot.clustering.keras
    wrap = functools.partial(
        clustering.cluster_weights,
        number_of_clusters=settings["clusters"],
        cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
    )
    return _train_wrapped(model, fit, wrap, clustering.strip_clustering)


METHODS = {"qat": qat, "prune": prune, "cluster": cluster}


def _train_wrapped(model, fit: Callable, wrap: Callable, strip: Callable, callbacks=()):
    """Wraps the layers with most of the weights, trains the model, and strips the wrappers.

    Convolutions of one channel each have few weights, and every one counts.
    """

    def wrapped(layer):
        return wrap(layer) if kind_of(layer).is_product else layer

    with tf_keras.utils.custom_object_scope(LAYERS):
        compressed = tf_keras.models.clone_model(model, clone_function=wrapped)
        fit(compressed, callbacks)
        return strip(compressed)
