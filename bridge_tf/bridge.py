"""Bridges: small networks from the taps of a base to the logits of a curve member.

A bridge body is the base's own tail behind the tap, built anew at a width factor ("medium" is
width 1 in the paper, "small" width 0.5; Yun et al., ICML 2023, appendix), or one of the user's
own. A bridge tells what it reads by the names of its inputs, so it can be saved, loaded and put
on a base without anything else: `TAP` reads the base's layer TAP (Type I), `start.TAP` and
`end.TAP` read that layer in the modes at the two ends of the curve (Type II), and `curve.r` is
the position on the curve, for a bridge that answers at any r.
"""

from collections.abc import Callable

import keras

from bridge_tf.bodies import HEAD, SHARED, conditioned_body, copy_weights, tail_body
from bridge_tf.classifier import as_classifier, logits_copy
from bridge_tf.errors import InputError
from bridge_tf.graph import END_PREFIXES, R_INPUT, as_list, check_taps, operation


def build_bridge(
    base,
    taps: str | list[str],
    width: float = 1.0,
    *,
    bridge_type: int = 1,
    body: Callable | None = None,
    warm_start=None,
    conditioned: bool = False,
    shared_until: str | None = None,
    name: str = "bridge",
) -> keras.Model:
    """Builds a bridge for `base`.

    Several taps are pooled to the resolution of the last of them, the one nearest the output,
    and concatenated; the body begins behind that one. Where the tap's channels meet a narrower
    body in a join, a 1×1 convolution projects them.

    Args:
        base: a Functional or Sequential classifier; it is only read.
        taps: name of the layer whose output feeds the bridge, or several names.
        width: multiplies the channels of the body, in (0, ∞); 0.5 is the paper's "small".
        bridge_type: 1 sees the taps of the base, 2 those of both end points of the curve.
        body: instead of the base's tail: a function (a Keras model is one) from the features, a
            tensor or a list of them in the order of the bridge's inputs, to logits, N×classes.
            For a conditioned bridge r, N×1, is the last of the list. `width` isn't used. What it
            gives is taken for logits.
        warm_start: a model of the base's architecture, the curve member that the bridge is to
            follow, whose weights the body starts from wherever layers agree in place and shape
            (all behind the tap at width 1). Default: fresh weights.
        conditioned: whether the bridge takes r as an input and answers at any position: each
            normalization of the body (each layer with units or filters, where there is none) is
            followed by a `Modulation` by r.
        shared_until: for a conditioned bridge, a layer behind the tap up to which the body is
            the same for all r, so that it runs once for many r. Default: none of the body.
        name: name of the model.

    Returns:
        A Functional model from the features to logits, N×classes. One input alone is a tensor,
        else inputs are a list: the taps in order, those of the start first, r last.

    Raises:
        InputError: a tap that doesn't exist or where the base can't be cut; a layer that can't
            be rebuilt at this width; a body with other outputs.
        ValueError: a bad width or type, or arguments that don't go together.
    """
    if width <= 0:
        raise ValueError(f"width must be positive. Received: width={width}")
    if bridge_type not in (1, 2):
        raise ValueError(f"bridge_type must be 1 or 2. Received: bridge_type={bridge_type}")
    if shared_until is not None and (body is not None or not conditioned):
        raise ValueError(
            "shared_until needs conditioned=True and no body of your own. "
            f"Received: shared_until={shared_until}"
        )
    taps = as_list(taps)
    # A copy of its own, since cutting adds nodes to the layers of what is cut.
    base = logits_copy(as_classifier(base))
    check_taps(base, taps)
    inputs = _inputs(base, taps, bridge_type, conditioned)
    if body is not None:
        outputs = body(inputs[0] if len(inputs) == 1 else inputs)
        _check_body(outputs, base.output_shape)
    elif conditioned:
        outputs = conditioned_body(base, taps, inputs, width, shared_until)
    else:
        outputs = tail_body(base, taps, inputs, width)
    bridge = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=name)
    if warm_start is not None:
        copy_weights(base, warm_start, bridge)
    return bridge


def bridge_taps(bridge) -> tuple[int, list[str]]:
    """(type, taps) of a bridge, read off the names of its inputs."""
    names = [tensor.name for tensor in bridge.inputs if tensor.name != R_INPUT]
    if all(name.startswith(END_PREFIXES) for name in names):
        return 2, [name.partition(".")[2] for name in names[: len(names) // 2]]
    return 1, names


def is_conditioned(bridge) -> bool:
    """Whether a bridge takes r as its last input."""
    return bridge.inputs[-1].name == R_INPUT


def answers_at(bridge, features: list, positions: list, training=None) -> list:
    """The logits of a bridge, one tensor a position; what all of them share is computed once.

    Args:
        bridge: from `build_bridge`.
        features: tensors of its taps, in the order of its inputs.
        positions: for a conditioned bridge, tensors of r, N×1; for another not read.
    """
    alone = features[0] if len(features) == 1 else features
    if not is_conditioned(bridge):
        return [bridge(alone, training=training)]
    parts = _parts(bridge)
    if SHARED not in parts:
        return [bridge([*features, r], training=training) for r in positions]
    common = parts[SHARED](alone, training=training)
    return [parts[HEAD]([common, r], training=training) for r in positions]


def name_parts(bridge, name: str) -> None:
    """Names a bridge's parts after it, so that several bridges can be in one model, in place."""
    for ending, part in _parts(bridge).items():
        part.name = f"{name}{ending}"


def _parts(bridge) -> dict:
    """The models of a conditioned body, by the endings of their names."""
    return {
        ending: layer
        for layer in bridge.layers
        for ending in (SHARED, HEAD)
        if isinstance(layer, keras.Model) and layer.name.endswith(ending)
    }


def _inputs(base, taps: list[str], bridge_type: int, conditioned: bool) -> list:
    inputs = []
    for prefix in [""] if bridge_type == 1 else END_PREFIXES:
        for tap in taps:
            feature = operation(base, tap).output
            inputs.append(
                keras.Input(feature.shape[1:], dtype=feature.dtype, name=f"{prefix}{tap}")
            )
    return [*inputs, keras.Input((1,), name=R_INPUT)] if conditioned else inputs


def _check_body(outputs, shape: tuple) -> None:
    if not keras.utils.is_keras_tensor(outputs) or tuple(outputs.shape) != tuple(shape):
        found = getattr(outputs, "shape", type(outputs).__name__)
        raise InputError(f"body: must give logits {tuple(shape)}, as the base does, not {found}")
