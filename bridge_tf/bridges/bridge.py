"""Bridges: small networks from the taps of a base to the logits of a curve member.

A bridge body is the base's own tail behind the tap, built anew at a width factor ("medium" is
width 1 in the paper, "small" width 0.5; Yun et al., ICML 2023, appendix), or one of the user's
own. A residual bridge adds what its body gives to the base's logits, so that it has the difference
alone to learn (docs/results/bridges.md). A bridge tells what it reads by the names of its inputs,
so it can be saved, loaded and put on a base without anything else: `TAP` reads the base's layer TAP
(Type I), `start.TAP` and `end.TAP` read that layer in the modes at the two ends of the curve
(Type II), `mode.logits` in the place of TAP reads a mode's logits, and `curve.r` is the position
on the curve, for a bridge that answers at any r.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from bridge_tf.bridges.bodies import (
    HEAD,
    SHARED,
    answer_zero,
    conditioned_body,
    copy_weights,
    tail_body,
)
from bridge_tf.networks.classifier import as_classifier, logits_copy
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import (
    END_PREFIXES,
    LOGITS_INPUT,
    R_INPUT,
    as_list,
    check_taps,
    feature_of,
)

# Names of the inputs that take logits.
_LOGITS = (LOGITS_INPUT, *(f"{prefix}{LOGITS_INPUT}" for prefix in END_PREFIXES))


def build_bridge(
    base: keras.Model,
    taps: str | list[str] | tuple[str, ...],
    width: float = 1.0,
    *,
    bridge_type: int = 1,
    body: Callable | None = None,
    warm_start: keras.Model | None = None,
    residual: bool = False,
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
        residual: whether the logits of the base, for Type II the mean of both modes', are added
            to what the body gives. The body's last dense layer or convolution starts at 0, so
            that the bridge starts as the base itself.
        conditioned: whether the bridge takes r as an input and answers at any position: each
            normalization of the body (each layer with units or filters, where there is none) is
            followed by a `Modulation` by r.
        shared_until: for a conditioned bridge, a layer behind the tap up to which the body is
            the same for all r, so that it runs once for many r. Default: none of the body.
        name: name of the model.

    Returns:
        A Functional model from the features to logits, N×classes. One input alone is a tensor,
        else inputs are a list: the taps in order and, for a residual bridge, the logits of the
        mode, those of the start first; r last.

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
    inputs = _inputs(base, taps, bridge_type, residual, conditioned)
    read, logits = _apart(inputs, inputs)
    if body is not None:
        outputs = body(read[0] if len(read) == 1 else read)
        _check_body(outputs, base.output_shape)
    elif conditioned:
        outputs = conditioned_body(base, taps, read, width, shared_until)
    else:
        outputs = tail_body(base, taps, read, width)
    answer = _sum(outputs, logits, names=("mode.mean", "mode.residual"))
    bridge = keras.Model(inputs if len(inputs) > 1 else inputs[0], answer, name=name)
    if warm_start is not None:
        copy_weights(base, warm_start, bridge)
    if residual:
        answer_zero(keras.Model(read, outputs))
    return bridge


def bridge_taps(bridge: keras.Model) -> tuple[int, list[str]]:
    """(type, taps) of a bridge, read off the names of its inputs."""
    kind, features = bridge_features(bridge)
    return kind, [name for name in features if name != LOGITS_INPUT]


def bridge_features(bridge: keras.Model) -> tuple[int, list[str]]:
    """(type, what it reads of each mode): its taps and, for a residual bridge, `LOGITS_INPUT`."""
    names = [tensor.name for tensor in bridge.inputs if tensor.name != R_INPUT]
    if all(name.startswith(END_PREFIXES) for name in names):
        return 2, [name.partition(".")[2] for name in names[: len(names) // 2]]
    return 1, names


def is_residual(bridge: keras.Model) -> bool:
    """Whether a bridge adds to the logits of what it reads."""
    return LOGITS_INPUT in bridge_features(bridge)[1]


def is_conditioned(bridge: keras.Model) -> bool:
    """Whether a bridge takes r as its last input."""
    return bridge.inputs[-1].name == R_INPUT


def answers_at(
    bridge: keras.Model, features: list, positions: list, training: bool | None = None
) -> list:
    """The logits of a bridge, one tensor a position; what all of them share is computed once.

    Args:
        bridge: from `build_bridge`.
        features: tensors of what it reads, in the order of its inputs, without r.
        positions: for a conditioned bridge, tensors of r, N×1; for another not read.
    """
    alone = features[0] if len(features) == 1 else features
    if not is_conditioned(bridge):
        return [bridge(alone, training=training)]
    parts = _parts(bridge)
    if SHARED not in parts:
        return [bridge([*features, r], training=training) for r in positions]
    read, logits = _apart(bridge.inputs[:-1], features)
    common = parts[SHARED](read if len(read) > 1 else read[0], training=training)
    answers = [parts[HEAD]([common, r], training=training) for r in positions]
    return [_sum(answer, logits) for answer in answers]


def name_parts(bridge: keras.Model, name: str) -> None:
    """Names a bridge's parts after it, so that several bridges can be in one model, in place."""
    for ending, part in _parts(bridge).items():
        part.name = f"{name}{ending}"


def _parts(bridge: keras.Model) -> dict[str, keras.Model]:
    """The models of a conditioned body, by the endings of their names."""
    return {
        ending: layer
        for layer in bridge.layers
        for ending in (SHARED, HEAD)
        if isinstance(layer, keras.Model) and layer.name.endswith(ending)
    }


def _inputs(
    base: keras.Model, taps: list[str], bridge_type: int, residual: bool, conditioned: bool
) -> list:
    inputs = []
    for prefix in [""] if bridge_type == 1 else END_PREFIXES:
        for name in [*taps, LOGITS_INPUT] if residual else taps:
            read = feature_of(base, name)
            inputs.append(keras.Input(read.shape[1:], dtype=read.dtype, name=f"{prefix}{name}"))
    return [*inputs, keras.Input((1,), name=R_INPUT)] if conditioned else inputs


def _apart(inputs: list, values: list) -> tuple[list, list]:
    """Of the values of inputs, those that the body reads and the modes' logits."""
    read: list = []
    logits: list = []
    for tensor, value in zip(inputs, values, strict=True):
        (logits if tensor.name in _LOGITS else read).append(value)
    return read, logits


def _sum(answer: Any, logits: list, names: Sequence[str | None] = (None, None)) -> Any:
    """What a body gives plus the mean of the modes' logits, if it reads any."""
    if not logits:
        return answer
    of_modes = keras.layers.Average(name=names[0])(logits) if len(logits) > 1 else logits[0]
    return keras.layers.Add(name=names[1])([answer, of_modes])


def _check_body(outputs: Any, shape: tuple) -> None:
    if not keras.utils.is_keras_tensor(outputs) or tuple(outputs.shape) != tuple(shape):
        found = getattr(outputs, "shape", type(outputs).__name__)
        raise InputError(f"body: must give logits {tuple(shape)}, as the base does, not {found}")
