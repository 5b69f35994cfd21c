"""Rebuilds the plans in the folders that are named, and prints the differences of their answers.

With them comes, as "denied", what the table of layers says of compression that the library denies.

Run as a program, in a process of its own: `tf_keras` isn't for the one of the tests.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from bridge_tf.export.compression import folder as files
from bridge_tf.export.compression.rebuild import check_equal, rebuild
from bridge_tf.networks.layer_kinds import LAYERS
from bridge_tf.utils.errors import InputError


def difference(folder: pathlib.Path) -> float | str:
    plan = json.loads((folder / files.PLAN).read_text())
    with np.load(folder / files.OUTPUTS) as stored:
        wanted = [stored[str(k)] for k in range(len(stored))]
    try:
        with np.load(folder / files.WEIGHTS) as stored:
            model = rebuild(plan, dict(stored))
        images = np.load(folder / files.IMAGES)
        return check_equal(model, images[: len(wanted[0])], wanted, 1e-5)
    except InputError as error:
        return str(error)


def denied() -> list[str]:
    """Layers with kernels that aren't rounded, pruned or clustered as their rows say."""
    found = []
    for name, kind in LAYERS.items():
        if not {"kernel", "depthwise_kernel"} & kind.weights.keys():
            continue
        if kind.rounded != rounds(one_layer(name)):
            found.append(f"{name}: rounded")
        if kind.folds_norm and not rounds(one_layer(name, tf_keras.layers.BatchNormalization())):
            found.append(f"{name}: folds_norm")
        if kind.is_product:
            layer = one_layer(name).layers[1]
            start = tfmot.clustering.keras.CentroidInitialization.LINEAR
            tfmot.clustering.keras.cluster_weights(layer, 2, start)
            tfmot.sparsity.keras.prune_low_magnitude(layer)
    return found


def one_layer(name: str, *behind):
    """A model of one layer and what comes behind it."""
    settings = {"Dense": [5], "DepthwiseConv1D": [2], "DepthwiseConv2D": [2]}.get(name, [5, 2])
    rank = next((int(digit) for digit in "123" if f"{digit}D" in name), 2)
    x = start = tf_keras.Input((*[4] * rank, 6))
    for layer in (getattr(tf_keras.layers, name)(*settings), *behind):
        x = layer(x)
    return tf_keras.Model(start, x)


def rounds(model) -> bool:
    """Whether training for quantization rounds the weights of a model."""
    quantization = tfmot.quantization.keras
    annotate = quantization.quantize_annotate_layer
    try:
        model = quantization.quantize_apply(tf_keras.models.clone_model(model, None, annotate))
    except (RuntimeError, ValueError):  # of layers that aren't supported
        return False
    configs = [(layer.quantize_config, layer.layer) for layer in model.layers[2:]]
    return any(config.get_weights_and_quantizers(layer) for config, layer in configs)


if __name__ == "__main__":
    found = {name: difference(pathlib.Path(name)) for name in sys.argv[1:]}
    print(json.dumps({**found, "denied": denied()}))
