"""Bridges: small networks from the taps of a base to the logits of a curve member.

The names of a bridge's inputs say what it reads, so a saved bridge needs no other description:
- `TAP`: the base's layer TAP (Type I);
- `start.TAP`, `end.TAP`: that layer in the modes at the two ends of the curve (Type II);
- `mode.logits` in place of TAP: the logits of a mode;
- `curve.r`: the position on the curve, for a bridge that predicts at any r.
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

# Names of the inputs for logits.
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
    """Builds a bridge for `base` (Yun et al., ICML 2023).

    Its body is the base's tail behind the last tap, the one nearest to the output. Several taps are
    pooled to the resolution of the last one and concatenated. A 1×1 convolution projects channels
    where the inputs of a join differ in their number.

    Args:
        base: a Functional or Sequential classifier; not changed.
        taps: name of the layer whose output feeds the bridge, or a list of names.
        width: factor on the channels of the body, > 0; 1 is the paper's "medium", 0.5 its "small".
        bridge_type: 1 reads the taps of the base, 2 those of both end points of the curve.
        body: used in place of the base's tail: a function, for example a Keras model, from the
            features to logits, N×classes. It gets a tensor or a list of tensors, in the order of
            the bridge's inputs; for a conditioned bridge, r, N×1, comes last. `width` is ignored.
        warm_start: the curve member to predict, a model of the base's architecture. The body starts
            from its weights where shapes agree; at width 1, everywhere. Default: random weights.
        residual: whether to add the logits of the base, for Type II the mean of both modes', to the
            body's output, which starts at 0 (docs/results/bridges.md).
        conditioned: whether the bridge takes r as an input and predicts at any position. A
            `Modulation` by r follows each normalization of the body, or without these each layer
            with units or filters.
        shared_until: for a conditioned bridge, a layer behind the tap. Up to it, the body does not
            depend on r and runs once for many r. Default: all of the body depends on r.
        name: of the bridge.

    Returns:
        A Functional model from the features to logits, N×classes. Its input is one tensor, or a
            list: the taps in order, then the logits of the mode for a residual bridge, then r. For
            Type II, the features of the start come before those of the end.

    Raises:
        InputError: a tap doesn't exist, or the base can't be cut there; a layer can't be rebuilt at
            this width; or the body has another output.
        ValueError: the width or type is invalid, or two arguments exclude each other.

    Example::

        bridge = bridge_tf.build_bridge(modes[0], taps="stage2_block1", width=0.5)
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
    # Cut a copy, because cutting adds nodes to the layers.
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
    """(type, taps) of a bridge, from the names of its inputs."""
    kind, features = bridge_features(bridge)
    return kind, [name for name in features if name != LOGITS_INPUT]


def bridge_features(bridge: keras.Model) -> tuple[int, list[str]]:
    """(type, features of a mode): the taps and, for a residual bridge, `LOGITS_INPUT`."""
    names = [tensor.name for tensor in bridge.inputs if tensor.name != R_INPUT]
    if all(name.startswith(END_PREFIXES) for name in names):
        return 2, [name.partition(".")[2] for name in names[: len(names) // 2]]
    return 1, names


def is_residual(bridge: keras.Model) -> bool:
    """Whether a bridge adds its output to the logits of a mode."""
    return LOGITS_INPUT in bridge_features(bridge)[1]


def is_conditioned(bridge: keras.Model) -> bool:
    """Whether a bridge takes r as its last input."""
    return bridge.inputs[-1].name == R_INPUT


def answers_at(
    bridge: keras.Model, features: list, positions: list, training: bool | None = None
) -> list:
    """The logits of a bridge at each position; the shared part is computed once.

    Args:
        features: tensors in the order of the bridge's inputs, without r.
        positions: tensors of r, N×1; ignored unless the bridge is conditioned.
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
    """Renames a bridge's parts after it, in place, so that one model can have several bridges."""
    for ending, part in _parts(bridge).items():
        part.name = f"{name}{ending}"


def _parts(bridge: keras.Model) -> dict[str, keras.Model]:
    """The models of a conditioned body, keyed by the suffixes of their names."""
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
    """Splits the values of the inputs into those of the body and the modes' logits."""
    read: list = []
    logits: list = []
    for tensor, value in zip(inputs, values, strict=True):
        (logits if tensor.name in _LOGITS else read).append(value)
    return read, logits


def _sum(answer: Any, logits: list, names: Sequence[str | None] = (None, None)) -> Any:
    """The body's output plus the mean of the modes' logits, if the bridge reads them."""
    if not logits:
        return answer
    of_modes = keras.layers.Average(name=names[0])(logits) if len(logits) > 1 else logits[0]
    return keras.layers.Add(name=names[1])([answer, of_modes])


def _check_body(outputs: Any, shape: tuple) -> None:
    if not keras.utils.is_keras_tensor(outputs) or tuple(outputs.shape) != tuple(shape):
        found = getattr(outputs, "shape", type(outputs).__name__)
        raise InputError(f"body: must give logits {tuple(shape)}, as the base does, not {found}")
