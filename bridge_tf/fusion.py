"""Several bridges of one shape at one tap, as one body that runs them side by side.

The channels of the fused body are those of all bridges, one bridge after the other. What reads the
taps, which all bridges share, is one convolution with the filters of all; behind it convolutions
are grouped, a group a bridge, and normalization, activations and pooling stay as they are.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from bridge_tf.bridge import bridge_taps, is_conditioned
from bridge_tf.graph import as_functional, is_graph
from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.scaling import JOINS

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    FilterResponseNormalization,
)
# Layers and operations of keras.ops that treat every channel alike.
_ALIKE = frozenset(
    "Activation ReLU Relu Relu6 LeakyReLU LeakyRelu ELU Elu Silu Gelu Sigmoid HardSigmoid HardSilu "
    "Tanh Identity Dropout SpatialDropout1D SpatialDropout2D AveragePooling1D AveragePooling2D "
    "MaxPooling1D MaxPooling2D GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D "
    "GlobalMaxPooling2D ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D "
    "UpSampling2D".split()
)
_ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu silu swish gelu sigmoid hard_sigmoid hard_silu "
    "hard_swish tanh softplus softsign mish exponential".split()
)
# Settings of a layer that don't change what it computes once it has its weights.
_IDLE = ("name", "trainable", "seed")
_IDLE_ENDINGS = ("_initializer", "_regularizer", "_constraint")


class _NotFusableError(Exception):
    pass


def fuse_bridges(bridges: Sequence[keras.Model], name: str = "fused") -> keras.Model | None:
    """One model that answers as each of the bridges does.

    Args:
        bridges: from `build_bridge`, at least one; only read.
        name: of the model.

    Returns:
        A Functional model from what one of the bridges reads to the logits of all,
        N×bridges×classes, with weights of its own. None where bridges can't be fused: they read
        other taps or several modes (Type II) or r, their layers or settings differ, or there is a
        layer between channels (an attention, a layer normalization, a concatenation) or one of
        the user's own.
    """
    if len({tuple(bridge_taps(bridge)[1]) for bridge in bridges}) > 1:
        return None
    if any(is_conditioned(bridge) or bridge_taps(bridge)[0] != 1 for bridge in bridges):
        return None
    bridges = [as_functional(bridge) for bridge in bridges]
    if any(_architecture(bridge) != _architecture(bridges[0]) for bridge in bridges):
        return None
    try:
        fuser = _Fuser(bridges)
        inputs = [keras.Input(x.shape[1:], dtype=x.dtype, name=x.name) for x in bridges[0].inputs]
        model = fuser.on(keras.tree.pack_sequence_as(bridges[0].input, inputs))
        logits = model.output
        if not fuser.stacked(logits) or len(logits.shape) != 2:
            return None
    except _NotFusableError:
        return None
    # Not by a layer, which asks for the size of the batch: in TFLite that is four operations more.
    logits = ops.reshape(logits, (-1, len(bridges), bridges[0].output_shape[-1]))
    fused = keras.Model(model.input, logits, name=name)
    fuser.copy_weights()
    return fused


def _architecture(model) -> list:
    """A graph's layers, what they are set to and what they read: equal where bodies are alike."""
    layers = model.get_config()["layers"]
    places = {layer["name"]: k for k, layer in enumerate(layers)}

    def placed(value):
        if isinstance(value, dict):
            if "keras_history" in value:
                name, *call = value["keras_history"]
                value = {**value, "keras_history": [places[name], *call]}
            return {key: placed(inner) for key, inner in value.items()}
        return [placed(inner) for inner in value] if isinstance(value, list | tuple) else value

    found = []
    for layer, item in zip(layers, model.operations, strict=True):
        if is_graph(item):
            settings = _architecture(as_functional(item))
        else:
            settings = {
                key: value
                for key, value in layer["config"].items()
                if key not in _IDLE and not key.endswith(_IDLE_ENDINGS)
            }
        found.append((type(item), settings, placed(layer["inbound_nodes"])))
    return found


class _Fuser:
    """Builds the fused graph of models of one architecture.

    Tensors of it are shared, the same for all bridges, or stacked: their channels are those of
    all bridges in turn.
    """

    def __init__(self, models: list, stacked: Sequence = ()):
        self.models = models
        self.members = {
            id(items[0]): items
            for items in zip(*(model.operations for model in models), strict=True)
        }
        self._stacked = {id(x): x for x in stacked}
        # By layer of the first model: in the fused graph, and from which layers' weights.
        self.built: dict[int, tuple] = {}
        # Likewise those without weights, and by shared tensor the stacked one.
        self.copies: dict = {}
        self.tiles: dict = {}
        self.inner: list[_Fuser] = []

    def stacked(self, tensor) -> bool:
        return id(tensor) in self._stacked

    def on(self, inputs) -> keras.Model:
        return keras.models.clone_model(
            self.models[0],
            input_tensors=inputs,
            clone_function=lambda layer: layer,
            call_function=self._call,
        )

    def copy_weights(self) -> None:
        for layer, members in self.built.values():
            axis = -2 if isinstance(layer, _DEPTHWISE) else -1
            values = zip(*(member.get_weights() for member in members), strict=True)
            joined = [np.concatenate(x, axis if x[0].ndim > 1 else -1) for x in values]
            shapes = [tuple(weight.shape) for weight in layer.weights]
            layer.set_weights([x.reshape(y) for x, y in zip(joined, shapes, strict=True)])
        for inner in self.inner:
            inner.copy_weights()

    def _call(self, layer, *args, **kwargs):
        tensors = keras.tree.flatten((args, kwargs))
        tensors = [x for x in tensors if keras.utils.is_keras_tensor(x)]
        if is_graph(layer):
            return self._graph(layer, tensors)
        if not any(map(self.stacked, tensors)) and not getattr(layer, "weights", ()):
            return self._copied(layer)(*args, **kwargs)
        kind = type(layer)
        if kind.__module__.startswith("keras.") and kind.__name__ in JOINS:
            args, kwargs = keras.tree.map_structure(self._side_by_side(tensors), (args, kwargs))
            return self._keep(self._copied(layer)(*args, **kwargs))
        if len(tensors) != 1 or not _fits(layer, len(tensors[0].shape)):
            raise _NotFusableError(layer.name)
        (x,) = tensors
        if kind in (*_CONVOLUTIONS, keras.layers.Dense):
            return self._convolution(layer, x)
        if kind in (*_DEPTHWISE, *_NORMS):
            return self._weighted(layer, self._tiled(x))
        if kind.__module__.startswith("keras.") and kind.__name__ in _ALIKE:
            return self._keep(self._copied(layer)(*args, **kwargs))
        raise _NotFusableError(layer.name)

    def _graph(self, layer, tensors: list):
        """A model inside the bridges, anew as one inside the fused body."""
        graphs = [as_functional(member) for member in self.members[id(layer)]]
        inputs = [keras.Input(x.shape[1:], dtype=x.dtype) for x in tensors]
        stacked = [y for x, y in zip(tensors, inputs, strict=True) if self.stacked(x)]
        inner = _Fuser(graphs, stacked)
        model = inner.on(keras.tree.pack_sequence_as(graphs[0].input, inputs))
        model.name = layer.name
        self.inner.append(inner)
        output = model(keras.tree.pack_sequence_as(graphs[0].input, tensors))
        return self._keep(output) if inner.stacked(model.output) else output

    def _convolution(self, layer, x):
        """A convolution, or a dense layer as one."""
        config, rank, count = layer.get_config(), len(x.shape), len(self.models)
        dense = type(layer) is keras.layers.Dense
        if dense and rank not in (2, 4):
            raise _NotFusableError(layer.name)
        if not self.stacked(x) and config.get("groups", 1) == 1:
            size = "units" if dense else "filters"
            return self._weighted(layer, x, {size: count * config[size]})
        x = self._tiled(x)
        if not dense:
            sizes = {key: count * config[key] for key in ("filters", "groups")}
            return self._weighted(layer, x, sizes)
        fused = keras.layers.Conv2D(
            count * layer.units,
            1,
            groups=count,
            use_bias=layer.use_bias,
            activation=config["activation"],
            dtype=layer.dtype_policy,
            name=layer.name,
        )
        if rank == 4:
            return self._weighted(layer, x, fused=fused)
        x = self._weighted(layer, ops.reshape(x, (-1, 1, 1, x.shape[-1])), fused=fused)
        return self._keep(ops.reshape(x, (-1, x.shape[-1])))

    def _weighted(self, layer, x, changes: dict | None = None, fused=None):
        """`layer`, or what stands for it, with the weights of all bridges, on `x`."""
        if type(layer) is keras.layers.GroupNormalization:
            changes = {"groups": layer.groups * len(self.models)}
        if id(layer) in self.built:  # a layer called twice, once on shared channels perhaps
            raise _NotFusableError(layer.name)
        fused = fused or _copy(layer, changes or {})
        self.built[id(layer)] = fused, self.members[id(layer)]
        return self._keep(fused(x))

    def _side_by_side(self, tensors: list):
        """A function that brings what an element-wise join takes to stacked channels."""
        channels = {
            x.shape[-1] if self.stacked(x) else x.shape[-1] * len(self.models)
            for x in tensors
            if self.stacked(x) or x.shape[-1] != 1
        }
        if len(channels) > 1 or len({len(x.shape) for x in tensors}) > 1:
            raise _NotFusableError("channels that don't agree")

        def arrange(x):
            if keras.utils.is_keras_tensor(x):
                return x if x.shape[-1] == 1 and not self.stacked(x) else self._tiled(x)
            if np.ndim(x):
                raise _NotFusableError("a constant of several numbers")
            return x

        return arrange

    def _tiled(self, x):
        if self.stacked(x):
            return x
        if id(x) not in self.tiles:
            tile = keras.layers.Concatenate(name=f"fused_tile{len(self.tiles)}")
            self.tiles[id(x)] = self._keep(tile([x] * len(self.models)))
        return self.tiles[id(x)]

    def _copied(self, layer):
        """A layer without weights, which may be called more than once."""
        if id(layer) not in self.copies:
            self.copies[id(layer)] = _copy(layer)
        return self.copies[id(layer)]

    def _keep(self, x):
        self._stacked[id(x)] = x
        return x


def _copy(layer, changes: dict | None = None):
    return type(layer).from_config({**layer.get_config(), **(changes or {})})


def _fits(layer, rank: int) -> bool:
    """Whether channels are last, and the activation is one of each number for itself."""
    config = layer.get_config()
    activation = config.get("activation", "linear")  # of one of the user's own no string
    return (
        config.get("data_format", "channels_last") in ("channels_last", None)
        and isinstance(activation, str)
        and activation in _ACTIVATIONS
        and config.get("axis", -1) in (-1, rank - 1)
    )
