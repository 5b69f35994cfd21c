"""Copies of Functional models with more or fewer channels.

Layers that set their number of channels (filters, units, size of heads) get `width` times as many;
the others follow their inputs. If the channels of a join differ, a 1×1 convolution projects them.
"""

import math
from collections.abc import Callable

import keras

from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.graph import as_functional, is_graph, predecessors


def is_norm(layer) -> bool:
    """Whether a layer normalizes by statistics of its input and has scales for channels."""
    return kind_of(layer, derived=True).normalizes is not None


def is_sized(layer) -> bool:
    """Whether a layer, or a model in its place, sets its number of channels."""
    if is_graph(layer):
        return any(is_sized(inner) for inner in as_functional(layer).operations)
    sizes = kind_of(layer, derived=True).sizes
    return any(key in inner for inner in _inner_configs(layer.get_config()) for key in sizes)


def rebuild(
    model,
    inputs,
    width: float,
    *,
    keep_output: bool = True,
    after: Callable = lambda layer, output: output,
) -> keras.Model:
    """A copy of a Functional `model` on new inputs, with random weights and scaled channels.

    Args:
        inputs: Keras tensors in place of `model.input`; they may have other numbers of channels.
        width: factor on the channels, > 0.
        keep_output: whether the output keeps its number of channels, as for logits.
        after: function of each layer of `model` and the new tensor for its output; returns the
            tensor that the following layers read.

    Raises:
        InputError: a layer can't be rebuilt; the message names it.
    """
    return _Rebuilder(model, width, keep_output, after).on(inputs)


class _Rebuilder:
    def __init__(self, model, width: float, keep_output: bool, after: Callable):
        self.model, self.width, self.after = model, width, after
        self.kept = last_sized(model) if keep_output else set()
        self.norm = next((layer for layer in model.operations if is_norm(layer)), None)
        self.built: dict = {}
        self.again = 0

    def on(self, inputs) -> keras.Model:
        return keras.models.clone_model(
            self.model,
            input_tensors=inputs,
            clone_function=lambda layer: layer,
            call_function=self._call,
        )

    def _call(self, layer, *args, **kwargs):
        if kind_of(layer).channels == "joined":
            args = self._joined(layer, args)
        try:
            if id(layer) not in self.built:
                self.built[id(layer)] = self._anew(layer, keras.tree.flatten((args, kwargs)))
            else:  # a shared layer, whose input channels are those of its first call
                args = self._as_before(layer, args)
            output = self.built[id(layer)](*args, **kwargs)
        except InputError:
            raise
        except Exception as error:  # Keras raises many kinds of errors
            raise InputError(
                f"`bridge_width={self.width:g}`: layer '{layer.name}' "
                f"({type(layer).__name__}) can't be rebuilt at this width ({reason(error)}); "
                "use width 1, a later tap or a body of your own"
            ) from error
        return self.after(layer, output)

    def _anew(self, layer, arguments):
        tensors = [item for item in arguments if keras.utils.is_keras_tensor(item)]
        if is_graph(layer):
            inner = as_functional(layer)
            inputs = keras.tree.pack_sequence_as(
                inner.input, [keras.Input(x.shape[1:], dtype=x.dtype) for x in tensors]
            )
            model = rebuild(inner, inputs, self.width, keep_output=layer in self.kept)
            model.name = layer.name
            return model
        config = layer.get_config()
        if "trainable" in config:
            config["trainable"] = True  # even if the base is frozen
        for wrapped in _wrapped(config):
            wrapped.pop("build_config", None)  # it has the shapes of the old channels
            wrapped["config"]["trainable"] = True
        if tensors:
            self._resize(layer, config, tensors[0])
        return type(layer).from_config(config)

    def _resize(self, layer, config: dict, tensor) -> None:
        kind, channels = kind_of(layer, derived=True), tensor.shape[-1]
        if layer not in self.kept:
            for inner in _inner_configs(config):
                for key in (*kind.sizes, *kind.head_sizes):
                    if inner.get(key):
                        inner[key] = self._scaled(inner[key])
        if config.get("groups", 1) > 1:
            _regroup(layer, config, channels)
        if kind.input_size:
            config[kind.input_size] = channels
        if kind_of(layer).channels == "reshaped":
            for key in config.keys() & {"target_shape", "newshape"}:
                config[key] = _reshaped(config[key], _first(layer.input).shape, tensor.shape)

    def _joined(self, layer, args: tuple) -> tuple:
        """The arguments of an element-wise join, projected if their channels differ."""
        tensors = keras.tree.flatten(args)
        channels = {
            x.shape[-1] for x in tensors if keras.utils.is_keras_tensor(x) and len(x.shape) > 1
        } - {1}
        if len(channels) < 2:
            return args
        wanted = self._scaled(layer.output.shape[-1])
        return keras.tree.map_structure(lambda x: self._projected(x, wanted, layer.name), args)

    def _as_before(self, layer, args: tuple) -> tuple:
        first = _first(self.built[id(layer)].input)
        if keras.utils.is_keras_tensor(args[0]) and args[0].shape[-1] != first.shape[-1]:
            self.again += 1
            name = f"{layer.name}_again{self.again}"
            args = (self._projected(args[0], first.shape[-1], name), *args[1:])
        return args

    def _projected(self, x, channels: int, name: str):
        """`x` projected to `channels`, with a normalization like that of the network."""
        if not keras.utils.is_keras_tensor(x) or x.shape[-1] in (1, channels):
            return x
        if len(x.shape) == 4:
            layer = keras.layers.Conv2D(
                channels,
                1,
                use_bias=self.norm is None,
                kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out"),
                name=f"{name}_projection",
            )
        else:
            layer = keras.layers.Dense(channels, name=f"{name}_projection")
        x = layer(x)
        if self.norm is not None:
            own = {"name": f"{name}_projection_norm", "trainable": True}
            config = self.norm.get_config() | own
            if config.get("groups", 1) > 1:
                config["groups"] = math.gcd(config["groups"], channels)
            x = type(self.norm).from_config(config)(x)
        return x

    def _scaled(self, channels: int) -> int:
        return max(1, round(channels * self.width))


def _inner_configs(config: dict) -> list[dict]:
    """The settings of a layer, or of its wrapped layers (Bidirectional, TimeDistributed)."""
    return [item["config"] for item in _wrapped(config)] or [config]


def _wrapped(config: dict) -> list[dict]:
    layers = [config.get(key) for key in ("layer", "backward_layer")]
    return [item for item in layers if isinstance(item, dict)]


def last_sized(model) -> set:
    """The layers that set the channels of the model's output."""
    graph = predecessors(model)
    operations = {item.name: item for item in model.operations}
    pending, found, seen = [model.output_names[0]], set(), set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if is_sized(operations[name]):
            found.add(operations[name])
        else:
            pending.extend(graph[name])
    return found


def _regroup(layer, config: dict, channels: int) -> None:
    """Adjusts the groups of a convolution or a normalization to divide its channels."""
    original = _first(layer.input).shape[-1]
    groups = channels if config["groups"] == original else math.gcd(config["groups"], channels)
    if "filters" in config:
        # A grouped convolution that is depthwise keeps its number of outputs for each channel.
        each = max(1, round(config["filters"] / groups))
        if groups == channels:
            each = max(1, layer.filters // original)
        config["filters"] = each * groups
    config["groups"] = groups


def _reshaped(target, original, shape):
    """The target for `shape`, if `original` is reshaped to `target`; its last size changes."""
    before, after = math.prod(original[1:]), math.prod(shape[1:])
    target = list(target)
    if before == after or target[-1] == -1:
        return target
    scaled = target[-1] * after / before
    if scaled != int(scaled):
        raise ValueError(f"a Reshape to {tuple(target)} doesn't fit {after} numbers")
    return [*target[:-1], int(scaled)]


def _first(tensors):
    return keras.tree.flatten(tensors)[0]
