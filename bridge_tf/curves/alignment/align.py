"""Aligning one mode to another: the same function, its neurons in another order."""

from typing import Any

import keras

from bridge_tf.config.fields import ALIGNMENTS
from bridge_tf.curves.alignment.activations import match_activations
from bridge_tf.curves.alignment.permutations import permute
from bridge_tf.curves.alignment.spaces import find_structure
from bridge_tf.curves.alignment.weight_matching import match_weights
from bridge_tf.curves.checks import check_same_architecture
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

    Two modes find the same features in neurons of different places; matched first, they are
    joined by a curve of lower loss. The copy computes what `end` computes, but for rounding.

    Neurons are matched wherever the graph is made of dense, convolution, depthwise and separable
    layers, normalization, activation, pooling, reshaping, element-wise joins and
    concatenation, with channels in the last axis. What meets another kind of layer, or is an
    input or output of the model, stays in place.

    Args:
        start, end: two built Functional or Sequential models of one architecture.
        method: "weights" maximises the inner products of the weights (Ainsworth et al., "Git
            Re-Basin", ICLR 2023); "activations" the correlation of the neurons over `data`
            (Li et al., 2016; Tatro et al., NeurIPS 2020).
        data: for "activations", what `keras.Model.predict` takes. Use training data.
        seed: of the order in which "weights" visits the permutations.

    Raises:
        ValueError: an unknown method, no data for "activations", models that are no graphs or
            of two architectures, or a model with no neurons that could be permuted.
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
        # On copies: on JAX a model is lost if its `predict` fails, as it does on bad data.
        permutations = match_activations(clone(start), aligned, structure, data)
    permute(aligned, structure, permutations)
    return aligned
