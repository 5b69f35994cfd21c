"""Quantization in training of layers for which TensorFlow Model Optimization has no recipe.

It must be that of the files, see `bridge_tf.export.quantization`: around a normalization over an
image's own values, layers between those with weights are computed in floating point, and only the
inputs of layers with weights are rounded.
"""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from bridge_tf.networks.layer_kinds import LAYERS, UNKNOWN, LayerKind


class InFloat(tfmot.quantization.keras.QuantizeConfig):
    """Of a layer in floating point, whose output is rounded to 8 bits or stays in float too."""

    def __init__(self, rounds_output: bool):
        self.rounds_output = rounds_output

    def get_weights_and_quantizers(self, layer):
        return []

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        pass

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        quantizer = tfmot.quantization.keras.quantizers.MovingAverageQuantizer(
            num_bits=8, per_axis=False, symmetric=False, narrow_range=False
        )
        return [quantizer] if self.rounds_output else []

    def get_config(self):
        return {"rounds_output": self.rounds_output}


def config_of(layer):
    """How a layer of a flat `tf_keras` model is quantized; None for the library's own recipe."""
    if kind_of(layer).rounded:
        return None
    if any(kind_of(other).normalizes == "image" for other in _joined(layer)):
        return InFloat(rounds_output=any(kind_of(x).rounded for x in _behind(layer)))
    return None if _is_folded(layer) or _has_recipe(layer) else InFloat(rounds_output=True)


def kind_of(layer) -> LayerKind:
    """The kind of a layer's namesake in Keras."""
    return LAYERS.get(type(layer).__name__, UNKNOWN)


def _joined(layer) -> list:
    """A layer and those connected to it by tensors without a layer with weights between."""
    found, pending = [], [layer]
    while pending:
        here = pending.pop()
        if here not in found:
            found.append(here)
            near = [*_before(here), *_behind(here)]
            near = [x for x in near if not isinstance(x, tf_keras.layers.InputLayer)]
            pending += [x for x in near if not kind_of(x).rounded]
    return found


def _before(layer) -> list:
    return [x for node in layer.inbound_nodes for x in tf.nest.flatten(node.inbound_layers)]


def _behind(layer) -> list:
    return [node.outbound_layer for node in layer.outbound_nodes]


def _is_folded(layer) -> bool:
    """Whether the library folds a batch normalization into the layer before it."""
    return kind_of(layer).normalizes == "batch" and all(
        kind_of(x).folds_norm and x.activation.__name__ == "linear" and len(_behind(x)) == 1
        for x in _before(layer)
    )


def _has_recipe(layer) -> bool:
    registry = tfmot.quantization.keras.default_8bit.Default8BitQuantizeRegistry()
    if not registry.supports(layer):
        return False
    try:
        registry.get_quantize_config(layer).get_output_quantizers(layer)
    except ValueError:  # of some activations only
        return False
    return True
