"""What each operation of Keras does to the order of channels.

Every rule here holds for channels in the last axis. Operations are known by the names of Keras's
own classes: a class derived from one of them may compute anything, and so counts as unknown.
"""

import dataclasses

import keras
import numpy as np

from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.utils.keras_utils import is_float

_IN, _OUT = "in", "out"
_KERNEL = {"kernel": {-2: _IN, -1: _OUT}, "bias": {-1: _OUT}}
_TRANSPOSED = {"kernel": {-1: _IN, -2: _OUT}, "bias": {-1: _OUT}}
_DEPTHWISE = {"kernel": {-2: _IN}, "bias": {-1: _IN}}
_DEPTHWISE_BY_GROUPS = {"kernel": {-1: _IN}, "bias": {-1: _IN}}
_SEPARABLE = {
    "depthwise_kernel": {-2: _IN},
    "pointwise_kernel": {-2: _IN, -1: _OUT},
    "bias": {-1: _OUT},
}


def _per_channel(names: str) -> dict:
    return {name: {-1: _IN} for name in names.split()}


# For each layer, its weights and what their axes count: the channels that go in, or new ones
# that come out. Layers without new ones keep the channels as they are.
_LAYERS = {
    "Dense": _KERNEL,
    "Conv1D": _KERNEL,
    "Conv2D": _KERNEL,
    "Conv3D": _KERNEL,
    "Conv1DTranspose": _TRANSPOSED,
    "Conv2DTranspose": _TRANSPOSED,
    "Conv3DTranspose": _TRANSPOSED,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "Embedding": {"embeddings": {-1: _OUT}},
    "BatchNormalization": _per_channel("gamma beta moving_mean moving_variance"),
    "LayerNormalization": _per_channel("gamma beta"),
    "RMSNormalization": _per_channel("scale"),
    "GroupNormalization": _per_channel("gamma beta"),
    "FilterResponseNormalization": _per_channel("gamma beta tau"),
    "LayerScale": _per_channel("gamma"),  # keras.applications, ConvNeXt
    "PReLU": _per_channel("alpha"),
}
_STATE = ("moving_mean", "moving_variance")
_WITHOUT_WEIGHTS = """
    Activation ReLU LeakyReLU ELU Softmax Identity ActivityRegularization StochasticDepth Rescaling
    Dropout AlphaDropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D SpatialDropout3D UnitNormalization RepeatVector Resizing
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
""".split()
_LAYER_JOINS = "Add Subtract Multiply Average Maximum Minimum CustomScaleLayer".split()
_OPERATION_JOINS = """
    Add Subtract Multiply Divide TrueDivide DivideNoNan Power Maximum Minimum Hypot Logaddexp
""".split()
_ELEMENTWISE = """
    Absolute Cast Celu Clip Copy Cos Elu Erf Exp Expm1 Gelu HardSigmoid HardSilu HardTanh LeakyRelu
    Log Log1p LogSigmoid LogSoftmax Negative Reciprocal Relu Relu6 Rsqrt Selu Sigmoid Sign Silu Sin
    Softmax Softplus Softsign Sqrt Square StopGradient Tanh TanhShrink
""".split()
_AXIS_OPERATIONS = "Mean Sum Max Min Amax Amin Prod Std Var".split()
# keras.activations.glu and custom functions may mix or split channels.
_ACTIVATIONS = """
    celu elu exponential gelu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish tanh
""".split()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The segments of an operation's output, and whether a kernel read the input's channels."""

    segments: tuple
    reads: bool = False


def apply_rule(node, inputs: list, spaces) -> Outcome | None:
    """The channels that come out of one call of an operation; None if no rule is sure of it.

    Args:
        node: the call.
        inputs: segments of the tensors that go in.
        spaces: gets the axes of the operation's weights.
    """
    operation, name = node.operation, _known_name(node.operation)
    is_layer = isinstance(operation, keras.layers.Layer)
    if (
        not name
        or not _has_plain_arguments(node)
        or getattr(operation, "data_format", None) == "channels_first"
    ):
        return None
    if name in (_LAYER_JOINS if is_layer else _OPERATION_JOINS):
        return Outcome(spaces.join(inputs))
    shapes = [tensor.shape for tensor in node.input_tensors]
    if name == "Concatenate":
        if _axes(operation, len(shapes[0])) == [len(shapes[0]) - 1]:
            return Outcome(sum(inputs, ()))
        return Outcome(spaces.join(inputs))
    if len(inputs) != 1:
        return None
    if name in ("Flatten", "Reshape"):
        return _reshaped(inputs[0], shapes[0], node.outputs[0].shape)
    if is_layer:
        return _layer(operation, name, inputs[0], node, spaces)
    ranks = len(shapes[0]), len(node.outputs[0].shape)
    return Outcome(inputs[0]) if _keeps_channels(operation, name, *ranks) else None


def _known_name(operation) -> str | None:
    known = type(operation) is FilterResponseNormalization
    known = known or type(operation).__module__.startswith("keras.")
    return type(operation).__name__ if known else None


def _has_plain_arguments(node) -> bool:
    """Whether what a call got beside tensors of the graph is the same for every channel."""
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    constants = [a for a in arguments if not isinstance(a, keras.KerasTensor)]
    return all(np.shape(constant)[-1:] in ((), (1,)) for constant in constants)


def _axes(operation, rank: int) -> list[int]:
    axis = operation.axis
    axes = range(rank) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    return sorted(a % rank for a in axes)


def _reshaped(segments, before, after) -> Outcome | None:
    # The channels lie side by side in memory, so an axis that is n times as long as theirs is
    # n positions with all their channels.
    if None in (before[-1], after[-1]) or after[-1] % before[-1]:
        return None
    return Outcome(segments * (after[-1] // before[-1]))


def _keeps_channels(operation, name: str, rank: int, rank_after: int) -> bool:
    """Whether a keras.ops operation on one tensor leaves its last axis in order."""
    if name == "Clip":
        return np.ndim(operation.x_min) == np.ndim(operation.x_max) == 0
    if name in _AXIS_OPERATIONS or name == "Squeeze":
        return rank - 1 not in _axes(operation, rank)
    if name == "ExpandDims":
        return rank_after - 1 not in _axes(operation, rank_after)
    return name in _ELEMENTWISE


def _layer(layer, name: str, segments, node, spaces) -> Outcome | None:
    """The rule of a layer from the table, if its settings are among those that the table means."""
    shape = node.input_tensors[0].shape
    table = _table(layer, name, shape[-1])
    if table is None or not _is_usual(layer, name, shape):
        return None
    weights = {
        attribute: roles
        for attribute, roles in table.items()
        if getattr(layer, attribute, None) is not None
    }
    variables = {attribute: getattr(layer, attribute) for attribute in weights}
    known = {id(variable) for variable in variables.values()}
    # Adapters and quantized kernels bring weights that the table doesn't mean.
    if {id(variable) for variable in layer.variables if is_float(variable)} != known:
        return None
    makes_new = any(_OUT in roles.values() for roles in weights.values())
    made = spaces.new(node.outputs[0].shape[-1]) if makes_new else segments
    noted = []
    for attribute, roles in weights.items():
        variable = variables[attribute]
        for axis, role in roles.items():
            counted = made if role == _OUT else segments
            axis %= len(variable.shape)
            if variable.shape[axis] == sum(size or 0 for _, size in counted):
                noted.append((variable, axis, counted, attribute in _STATE))
            elif variable.shape[axis] != 1:  # one number for all channels
                return None
    for arguments in noted:
        spaces.note(*arguments)
    if name == "Embedding":
        spaces.freeze(segments)
    return Outcome(made, reads=makes_new and name != "Embedding")


def _table(layer, name: str, channels: int) -> dict | None:
    groups = getattr(layer, "groups", 1)
    if not name.startswith("Conv") or groups == 1:
        return _LAYERS.get(name, {} if name in _WITHOUT_WEIGHTS else None)
    return _DEPTHWISE_BY_GROUPS if groups == channels == layer.filters else None


def _is_usual(layer, name: str, shape) -> bool:
    if name == "GroupNormalization":
        groups = layer.groups if layer.groups > 0 else shape[-1]
        return groups in (1, shape[-1]) and _axes(layer, len(shape)) == [len(shape) - 1]
    if name in ("BatchNormalization", "LayerNormalization", "RMSNormalization"):
        return _axes(layer, len(shape)) == [len(shape) - 1]
    if name == "Rescaling":
        return np.ndim(layer.scale) == np.ndim(layer.offset) == 0
    activation = getattr(layer, "activation", None)
    return getattr(layer, "depth_multiplier", 1) == 1 and (
        activation is None or activation in _known_activations()
    )


def _known_activations() -> list:
    homes = (keras.activations, keras.ops)
    return [getattr(home, name) for home in homes for name in _ACTIVATIONS if hasattr(home, name)]
