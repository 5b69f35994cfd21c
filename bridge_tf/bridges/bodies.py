"""The bodies of bridges, built from the base's tail: its layers behind the tap."""

import keras
import numpy as np

from bridge_tf.bridges.film import Modulation
from bridge_tf.bridges.rescale import is_norm, is_sized, last_sized, rebuild
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import (
    as_functional,
    check_taps,
    counterparts,
    is_graph,
    operation,
    predecessors,
)

# Suffixes of the names of the two parts of a conditioned body.
SHARED, HEAD = ".shared", ".head"


def tail_body(base, taps: list[str], inputs: list, width: float):
    """The logits of the base's tail on the features `inputs`, with channels scaled by `width`.

    Args:
        base: a Functional classifier that ends in logits. The cut adds nodes to its layers.
        taps: names of layers; the body starts behind the last one.
        inputs: Keras tensors, one for each tap; for Type II, two for each.
    """
    last = operation(base, last_tap(base, taps)).output
    tail = keras.Model(last, base.output)
    if len(inputs) == 1:
        return rebuild(tail, inputs[0], width).output
    features = _joined(inputs, last.shape)
    return rebuild(tail, _input_like(features), width)(features)


def conditioned_body(base, taps: list[str], inputs: list, width: float, shared_until: str | None):
    """Like `tail_body`, but modulated by r, the last of `inputs`.

    The name of the part that depends on r ends in `HEAD`. That of the other part ends in `SHARED`;
    it exists if there are several features or `shared_until` names a layer.
    """
    *features, r = inputs
    last = split = last_tap(base, taps)
    common = features[0]
    if len(features) > 1 or shared_until is not None:
        starts = [_input_like(feature) for feature in features]
        output = _joined(starts, operation(base, last).output.shape)
        if shared_until is not None:
            split = shared_until
            _check_split(base, last, split)
            part = keras.Model(operation(base, last).output, operation(base, split).output)
            output = rebuild(part, _input_like(output), width, keep_output=False)(output)
        shared = keras.Model(starts if len(starts) > 1 else starts[0], output, name=f"body{SHARED}")
        common = shared(features if len(features) > 1 else features[0])
    return _head(base, split, _input_like(common), width)([common, r])


def _head(base, split: str, start, width: float) -> keras.Model:
    """From features at `split` and r to logits."""
    r = keras.Input((1,), name="r")
    # clone_model passes r to the layers of the tail only if r is an input of the tail.
    tail = keras.Model([operation(base, split).output, keras.Input((1,))], base.output)
    modulated = is_norm if any(is_norm(layer) for layer in tail.layers) else is_sized
    inner = [_input_like(start), keras.Input((1,))]

    def after(layer, output):
        if not modulated(layer) or layer.name in base.output_names:
            return output
        return Modulation(name=f"{layer.name}_at_r")([output, inner[1]])

    body = rebuild(tail, inner, width, after=after)
    entry = Modulation(name="features_at_r")([start, r])
    return keras.Model([start, r], body([entry, r]), name=f"body{HEAD}")


def last_tap(base, taps: list[str]) -> str:
    """The tap nearest to the output."""
    return max(taps, key=list(predecessors(base)).index)


def copy_weights(base, member, bridge) -> None:
    """Copies the weights of a member of the base's architecture to a bridge's layers, if they fit.

    Raises:
        InputError: the architectures differ.
    """
    member = logits_copy(member)
    names = counterparts(base, member, [item.name for item in base.operations])
    members = {item.name: item for item in member.operations}
    sources = {ours.name: members[name] for ours, name in zip(base.operations, names, strict=True)}
    _copy_fitting(sources, bridge.layers)


def answer_zero(body) -> None:
    """Sets the weights of a graph's last dense layer or convolution to 0, in place."""
    for layer in last_sized(body):
        if is_graph(layer):
            answer_zero(as_functional(layer))
        elif hasattr(layer, "kernel"):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])


def _copy_fitting(sources: dict, layers: list) -> None:
    """Copies weights by name where shapes agree."""
    for layer in layers:
        source = sources.get(layer.name)
        if isinstance(layer, keras.Model):
            inner = {x.name: x for x in source.layers} if is_graph(source) else sources
            _copy_fitting(inner, layer.layers)
        elif source is not None and layer.weights and _shapes(source) == _shapes(layer):
            layer.set_weights(source.get_weights())


def _shapes(layer) -> list[tuple]:
    return [tuple(weight.shape) for weight in getattr(layer, "weights", ())]


def _check_split(base, tap: str, name: str) -> None:
    check_taps(base, [name], argument="shared_until")
    order = list(predecessors(base))
    if order.index(name) <= order.index(tap):
        raise InputError(f"`shared_until`: '{name}' must lie behind the tap '{tap}'")


def _input_like(tensor):
    return keras.Input(tensor.shape[1:], dtype=tensor.dtype)


def _joined(features: list, shape):
    """The features as one tensor with the resolution of `shape`."""
    if len(features) == 1:
        return features[0]
    pooled = [_pooled(feature, shape) for feature in features]
    return keras.layers.Concatenate(name="taps")(pooled)


def _pooled(feature, shape):
    """`feature`, average-pooled to the height and width, or the length, of `shape`."""
    have, want = tuple(feature.shape[1:-1]), tuple(shape[1:-1])
    if have == want:
        return feature
    ranks = len(have), len(want)
    if ranks in ((1, 0), (2, 0)):
        layers = (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D)
        return layers[ranks[0] - 1]()(feature)
    if ranks not in ((1, 1), (2, 2)) or any(a < b for a, b in zip(have, want, strict=True)):
        raise InputError(
            f"`taps`: features of shapes {tuple(feature.shape)} and {tuple(shape)} can't be "
            "brought to the resolution of the last tap; name taps of images, or one tap"
        )
    strides = tuple(a // b for a, b in zip(have, want, strict=True))
    # If sizes don't divide, windows overlap, so that the output has exactly the size `want`.
    size = tuple(a - (b - 1) * s for a, b, s in zip(have, want, strides, strict=True))
    layers = (keras.layers.AveragePooling1D, keras.layers.AveragePooling2D)
    return layers[ranks[0] - 1](size, strides)(feature)
