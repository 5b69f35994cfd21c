"""Checks of the networks at the ends of a curve."""

import keras

from bridge_tf.networks.classifier import check_exclusive
from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.graph import as_functional, is_graph, predecessors
from bridge_tf.utils.keras_utils import inner_layers, is_float


def check_weights(network) -> None:
    """Raises a ValueError that names a layer or weight that can't be interpolated.

    An InputError if it is plainly a multi-label classifier, of which nothing could be made later.
    """
    if is_graph(network):
        check_exclusive(network)
    for layer in inner_layers(network):
        if getattr(layer, "quantization_mode", None) is not None:
            raise ValueError(
                f"the layer {layer.path} is quantized ({layer.quantization_mode}); a curve needs "
                "floating-point weights, so quantize what comes out of it. "
                f"Received: network={network.name}"
            )
    if not network.trainable_variables:
        raise ValueError(
            "a curve needs trainable weights; all of the network's are frozen (trainable=False). "
            f"Received: network={network.name}"
        )
    for variable in network.trainable_variables:
        if not is_float(variable):
            raise ValueError(
                f"the weight {variable.path} is trainable but of type {variable.dtype}; a curve "
                f"needs floating-point weights. Received: network={network.name}"
            )


def check_same_architecture(start, end) -> None:
    """Raises a ValueError that names the first layer or weight in which two networks differ."""
    received = f"Received: start={start.name}, end={end.name}"
    layers = [_compared(network) for network in (start, end)]
    for a, b in zip(*layers, strict=False):
        if type(a) is not type(b) or _function(a) != _function(b):
            raise ValueError(
                f"start and end must share one architecture, but the layer {a.path} is "
                f"{_function(a)} in the one and {b.path} is {_function(b)} in the other. {received}"
            )
        if a.weights and a.trainable != b.trainable:
            raise ValueError(
                f"start and end must train the same layers, but trainable of the layer {a.path} is "
                f"{a.trainable} in the one and {b.trainable} in the other; set it alike in both. "
                f"{received}"
            )
        ours, theirs = _settings(a), _settings(b)
        for key in ours:
            if ours[key] != theirs.get(key, ours[key]):
                raise ValueError(
                    f"start and end must share one architecture, but {key} of the layer {a.path} "
                    f"is {ours[key]} in the one and {theirs[key]} in the other. {received}"
                )
    if len(layers[0]) != len(layers[1]):
        raise ValueError(
            f"start and end must share one architecture, but they have {len(layers[0])} and "
            f"{len(layers[1])} layers. {received}"
        )
    if is_graph(start) and is_graph(end) and _connections(start) != _connections(end):
        raise ValueError(
            "start and end must share one architecture, but their layers are connected in "
            f"different ways. {received}"
        )
    for kind in ("trainable_variables", "non_trainable_variables"):
        ours, theirs = getattr(start, kind), getattr(end, kind)
        for a, b in zip(ours, theirs, strict=False):
            if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
                raise ValueError(
                    f"start and end must share one architecture, but {a.path} is "
                    f"{a.dtype}{tuple(a.shape)} in the one and {b.path} is "
                    f"{b.dtype}{tuple(b.shape)} in the other. {received}"
                )
        if len(ours) != len(theirs):
            longer = max(ours, theirs, key=len)
            raise ValueError(
                f"start and end must share one architecture, but they have {len(ours)} and "
                f"{len(theirs)} {kind}; {longer[min(len(ours), len(theirs))].path} is in the one "
                f"only. {received}"
            )


def _compared(network) -> list:
    """The parts to compare: the layers of a network and the operations of its graph."""
    layers = inner_layers(network)
    # A single layer is compared itself; two models may be of different classes.
    return layers[1:] if len(layers) > 1 else layers


def _connections(network) -> list[list[int]]:
    """For each operation of a graph, the indices of its inputs."""
    graph = predecessors(as_functional(network))
    places = {name: k for k, name in enumerate(graph)}
    return [[places[feed] for feed in feeds] for feeds in graph.values()]


def _settings(layer) -> dict[str, str]:
    """The settings of a layer that change what it computes, as text."""
    if isinstance(layer, keras.Model):
        return {}
    try:
        config = layer.get_config()
    except NotImplementedError:  # a user's layer without get_config
        return {}
    compared = kind_of(layer, derived=True).compared
    return {key: str(value) for key, value in config.items() if key in compared}


def _function(layer) -> str:
    """The kind of a layer and its activation, if any."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "") if activation is not None else ""
    return f"{type(layer).__name__} ({name})" if name else type(layer).__name__
