"""The bodies of bridges, made from the base's own tail behind the tap."""

import keras

from bridge_tf.errors import InputError
from bridge_tf.graph import check_taps, logits_copy, operation, predecessors
from bridge_tf.modulation import Modulation
from bridge_tf.scaling import is_norm, is_sized, rebuild

SHARED, HEAD = "shared", "head"


def tail_body(base, taps: list[str], inputs: list, width: float):
    """Logits of the base's tail, rebuilt at `width`, on the features `inputs`.

    Args:
        base: a Functional classifier that ends in logits; cutting adds nodes to its layers.
        taps: names; the body begins behind the last of them.
        inputs: Keras tensors, as many as taps or, for Type II, twice as many.
        width: factor of the channels.
    """
    last = operation(base, last_tap(base, taps)).output
    tail = keras.Model(last, base.output)
    if len(inputs) == 1:
        return rebuild(tail, inputs[0], width).output
    features = _joined(inputs, last.shape)
    return rebuild(tail, _input_like(features), width)(features)


def conditioned_body(base, taps: list[str], inputs: list, width: float, shared_until: str | None):
    """As `tail_body`, modulated by r, the last of `inputs`.

    The models "shared", where several features are joined or `shared_until` names a layer, and
    "head" are its parts: the first is the same for all r.
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
        shared = keras.Model(starts if len(starts) > 1 else starts[0], output, name=SHARED)
        common = shared(features if len(features) > 1 else features[0])
    return _head(base, split, _input_like(common), width)([common, r])


def _head(base, split: str, start, width: float) -> keras.Model:
    """From features at `split` and r to logits."""
    r = keras.Input((1,), name="r")
    # clone_model gives the layers of the tail r only if it is an input of the tail too.
    tail = keras.Model([operation(base, split).output, keras.Input((1,))], base.output)
    modulated = is_norm if any(is_norm(layer) for layer in tail.layers) else is_sized
    inner = [_input_like(start), keras.Input((1,))]

    def after(layer, output):
        if not modulated(layer) or layer.name in base.output_names:
            return output
        return Modulation(name=f"{layer.name}_at_r")([output, inner[1]])

    body = rebuild(tail, inner, width, after=after)
    entry = Modulation(name="features_at_r")([start, r])
    return keras.Model([start, r], body([entry, r]), name=HEAD)


def last_tap(base, taps: list[str]) -> str:
    """The tap that is nearest the output."""
    return max(taps, key=list(predecessors(base)).index)


def copy_weights(member, bridge) -> None:
    """Gives the layers of a bridge the weights of the member's layers of their name and shape."""
    sources = {layer.name: layer for layer in logits_copy(member).operations}
    pending = list(bridge.layers)
    while pending:
        layer = pending.pop()
        source = sources.get(layer.name)
        if source is None:
            pending.extend(getattr(layer, "layers", ()))
        elif [w.shape for w in getattr(source, "weights", ())] == [w.shape for w in layer.weights]:
            layer.set_weights(source.get_weights())


def _check_split(base, tap: str, name: str) -> None:
    check_taps(base, [name])
    order = list(predecessors(base))
    if order.index(name) <= order.index(tap):
        raise InputError(f"shared_until: '{name}' must lie behind the tap '{tap}'")


def _input_like(tensor):
    return keras.Input(tensor.shape[1:], dtype=tensor.dtype)


def _joined(features: list, shape):
    """The features as one tensor of the resolution of `shape`."""
    if len(features) == 1:
        return features[0]
    pooled = [_pooled(feature, shape) for feature in features]
    return keras.layers.Concatenate(name="taps")(pooled)


def _pooled(feature, shape):
    """`feature` averaged down to the height and width of `shape`."""
    if len(feature.shape) == 4 and len(shape) == 2:
        return keras.layers.GlobalAveragePooling2D()(feature)
    if len(feature.shape) != 4 or feature.shape[1:3] == shape[1:3]:
        return feature
    size = tuple(
        -(-have // want) for have, want in zip(feature.shape[1:3], shape[1:3], strict=True)
    )
    return keras.layers.AveragePooling2D(size, padding="same")(feature)
