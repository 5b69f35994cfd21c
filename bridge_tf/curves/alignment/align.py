"""Alignment of one mode to another: the same function with permuted neurons."""

from typing import Any

import keras

from bridge_tf.config.fields import ALIGNMENTS
from bridge_tf.curves.alignment.activations import match_activations
from bridge_tf.curves.alignment.permutations import permute
from bridge_tf.curves.alignment.spaces import find_structure
from bridge_tf.curves.alignment.weight_matching import match_weights
from bridge_tf.curves.checks import check_same_architecture
from bridge_tf.data.inputs import only_inputs
from bridge_tf.utils.graph import is_graph
from bridge_tf.utils.keras_utils import clone

METHODS = ALIGNMENTS[1:]


def align(
    start: keras.Model,
    end: keras.Model,
    method: str = "weights",
    data: Any = None,
    *,
    seed: int = 0,
) -> keras.Model:
    """A copy of `end` whose neurons are permuted to match those of `start`.

    It computes the same function as `end`, except for rounding, and the curve to it has a lower
    loss. Neurons are matched in graphs of dense, convolution, depthwise and separable layers,
    normalization, activation, pooling, reshaping, element-wise joins and concatenation, with
    channels in the last axis. Neurons of other layers, and the inputs and outputs of the model,
    stay in place.

    Args:
        start: a built Functional or Sequential model.
        end: another of the same architecture.
        method: "weights" maximizes the inner products of the weights (Ainsworth et al., "Git
            Re-Basin", ICLR 2023); "activations" maximizes the correlation of activations on `data`
            (Li et al., 2016; Tatro et al., NeurIPS 2020).
        data: for "activations": training inputs, as images N×H×W×C: an array, a `Split`, or batches
            such as a `tf.data.Dataset`, which must end; labels beside them are ignored.
        seed: of the order in which "weights" visits the permutations.

    Returns:
        The aligned copy; `start` and `end` stay as they are.

    Raises:
        InputError: `data` never end.
        ValueError: the method is unknown, "activations" has no data, a model isn't a graph, the
            architectures differ, or no neurons can be permuted.

    Example::

        end = bridge_tf.align(modes[0], modes[1], "activations", images)
        curve = bridge_tf.Curve.between(modes[0], end)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}. Received: method={method}")
    if method == "activations" and data is None:
        raise ValueError("method 'activations' needs data. Received: data=None")
    for model in (start, end):
        if not is_graph(model):
            raise ValueError(
                "start and end must be built Functional or Sequential models. "
                f"Received: {model.name} of class {type(model).__name__}"
            )
    check_same_architecture(start, end)
    start, end = clone(start), clone(end)
    structure = find_structure(end)
    if find_structure(start) != structure:
        raise ValueError(
            "start and end must share one architecture, but their layers are connected in "
            f"different ways. Received: start={start.name}, end={end.name}"
        )
    if not structure.sizes:
        raise ValueError(
            "start and end have no neurons that can be permuted. "
            f"Received: start={start.name}, end={end.name}"
        )
    aligned = clone(end)
    if method == "weights":
        permutations = match_weights(start, end, structure, seed)
    else:
        # Use copies: on JAX, a model is unusable after `predict` fails, for example on bad data.
        inputs = only_inputs(data, "data", aligned)
        permutations = match_activations(clone(start), aligned, structure, inputs)
    permute(aligned, structure, permutations)
    return aligned
