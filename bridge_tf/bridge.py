"""Bridges: small networks from the taps of a base to the logits of a curve member.

A bridge body is the base's own tail behind the tap, built anew at a width factor ("medium" is
width 1 in the paper, "small" width 0.5; Yun et al., ICML 2023, appendix). A bridge tells which
taps it reads by the names of its inputs, so it can be saved, loaded and put on a base without
anything else: `TAP` reads the base's layer TAP (Type I), `start.TAP` and `end.TAP` read that
layer in the modes at the two ends of the curve (Type II).
"""

import keras

from bridge_tf.graph import as_list, check_taps, logits_copy, predecessors

_MERGES = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)


def build_bridge(
    base,
    taps: str | list[str],
    width: float = 1.0,
    *,
    bridge_type: int = 1,
    name: str = "bridge",
) -> keras.Model:
    """Builds a bridge for `base` with fresh weights.

    Several taps are pooled to the resolution of the last of them, the one nearest the output,
    and concatenated; the body begins behind that one. Where the tap's channels meet a narrower
    body in a residual join, a 1×1 convolution projects them.

    Args:
        base: a Functional classifier; it is only read.
        taps: name of the layer whose output feeds the bridge, or several names.
        width: multiplies the channels of the body, in (0, ∞); 0.5 is the paper's "small".
        bridge_type: 1 sees the taps of the base, 2 those of both end points of the curve.
        name: name of the model.

    Returns:
        A Functional model from the features to logits, N×classes. One tap of Type I makes its
        input one tensor, else it is a list: the taps in order, those of the start first.

    Raises:
        InputError: a tap that doesn't exist or where the base can't be cut.
        ValueError: a bad width or type.
    """
    if width <= 0:
        raise ValueError(f"width must be positive. Received: width={width}")
    if bridge_type not in (1, 2):
        raise ValueError(f"bridge_type must be 1 or 2. Received: bridge_type={bridge_type}")
    taps = as_list(taps)
    check_taps(base, taps)
    # A copy of its own, since cutting adds nodes to the layers of what is cut.
    base = logits_copy(base)
    order = list(predecessors(base))
    last = base.get_layer(max(taps, key=order.index)).output

    prefixes = [""] if bridge_type == 1 else ["start.", "end."]
    inputs = [
        keras.Input(base.get_layer(tap).output.shape[1:], name=f"{prefix}{tap}")
        for prefix in prefixes
        for tap in taps
    ]
    tail = keras.Model(last, base.output)
    if len(inputs) == 1:
        body = _body(tail, inputs[0], width)
        return keras.Model(inputs[0], body.output, name=name)
    features = [_pooled(feature, last.shape) for feature in inputs]
    features = keras.layers.Concatenate(name="taps")(features)
    body = _body(tail, keras.Input(features.shape[1:], name="features"), width)
    return keras.Model(inputs, body(features), name=name)


def bridge_taps(bridge) -> tuple[int, list[str]]:
    """(type, taps) of a bridge, read off the names of its inputs."""
    names = [tensor.name for tensor in bridge.inputs]
    if all(name.startswith(("start.", "end.")) for name in names):
        return 2, [name.partition(".")[2] for name in names[: len(names) // 2]]
    return 1, names


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


def _body(tail, inputs, width: float) -> keras.Model:
    """The layers of `tail` on `inputs`, anew, with `width` times the channels."""
    classifier = [layer for layer in tail.layers if _size_key(layer)][-1:]
    norm = next((layer for layer in tail.layers if "Normalization" in type(layer).__name__), None)

    def rebuilt(layer):
        config = layer.get_config()
        key = _size_key(layer)
        if key and layer not in classifier:
            config[key] = _scaled(config[key], width)
        return type(layer).from_config(config)

    originals = {layer.name: layer for layer in tail.layers}

    def called(layer, *args, **kwargs):
        if isinstance(layer, _MERGES):
            channels = _scaled(originals[layer.name].output.shape[-1], width)
            args = ([_projected(x, channels, norm, layer.name) for x in args[0]], *args[1:])
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        tail, input_tensors=inputs, clone_function=rebuilt, call_function=called
    )


def _size_key(layer) -> str | None:
    config = layer.get_config()
    return next((key for key in ("filters", "units") if key in config), None)


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _projected(x, channels: int, norm, name: str):
    """`x` with that many channels, through a normalization like the network's own."""
    if x.shape[-1] == channels:
        return x
    if len(x.shape) == 4:
        layer = keras.layers.Conv2D(
            channels,
            1,
            use_bias=norm is None,
            kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out"),
            name=f"{name}_projection",
        )
    else:
        layer = keras.layers.Dense(channels, name=f"{name}_projection")
    x = layer(x)
    if norm is not None:
        config = {**norm.get_config(), "name": f"{name}_projection_norm"}
        x = type(norm).from_config(config)(x)
    return x
