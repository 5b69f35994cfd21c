"""The table of layer kinds: what the package must know about each class of layers.

Rows are keyed by class name, so the table needs neither Keras nor `tf_keras`. A layer without a row
is `UNKNOWN`: it is scaled by its settings, its neurons are not permuted, and it can be put on a
curve.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

IN, OUT = "in", "out"
Roles = Mapping[str, Mapping[int, str]]

# The meaning of each weight's axes: input channels, or new output channels.
KERNEL: Roles = {"kernel": {-2: IN, -1: OUT}, "bias": {-1: OUT}}
TRANSPOSED: Roles = {"kernel": {-1: IN, -2: OUT}, "bias": {-1: OUT}}
DEPTHWISE: Roles = {"kernel": {-2: IN}, "bias": {-1: IN}}
# A convolution with as many groups as input and output channels.
DEPTHWISE_BY_GROUPS: Roles = {"kernel": {-1: IN}, "bias": {-1: IN}}
SEPARABLE: Roles = {
    "depthwise_kernel": {-2: IN},
    "pointwise_kernel": {-2: IN, -1: OUT},
    "bias": {-1: OUT},
}
# Weights that are moving averages of batch statistics.
AVERAGES = ("moving_mean", "moving_variance")
# Settings that change what a layer computes. Sizes, which the weights' shapes show, are left out.
COMPARED = frozenset(
    "activation axis causal cropping data_format dilation_rate epsilon factor go_backwards groups "
    "interpolation keepdims merge_mode mean negative_slope num_heads offset padding pool_size "
    "recurrent_activation reset_after scale size strides target_shape threshold use_causal_mask "
    "variance".split()
)


def per_channel(names: str) -> Roles:
    """Weights with one number for each input channel."""
    return {name: {-1: IN} for name in names.split()}


@dataclasses.dataclass(frozen=True)
class LayerKind:
    """The properties of a layer class, for channels in the last axis.

    Attributes:
        channels: the order of its output channels. "kept": that of the input, and channels interact
            only in a softmax or a norm; "new": output channels come from weights; "joined": tensors
            are combined element by element; "concatenated", "reshaped": channels move to a known
            place; "mixed": anything else.
        weights: all weights that it may have, and the meaning of their axes.
        normalizes: by statistics of each image, or of the batch with moving averages; its weights
            scale channels.
        over_axes: it reduces, adds or removes the axes in its `axis`.
        same_numbers: at inference it changes no value of its input.
        scalars: settings that must be one number for all channels.
        sizes, input_size: settings for the numbers of output and input channels.
        head_sizes: settings that scale with the width although the output channels don't.
        compared: settings that must be equal at both ends of a curve.
        tf_keras_names: settings with other names in `tf_keras`.
        rounded, folds_norm: quantization-aware training rounds its weights, or folds a following
            batch normalization into them.
    """

    channels: Literal["kept", "new", "joined", "concatenated", "reshaped", "mixed"]
    weights: Roles = dataclasses.field(default_factory=dict)
    normalizes: Literal["image", "batch"] | None = None
    over_axes: bool = False
    same_numbers: bool = False
    scalars: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ("filters", "units", "output_dim")
    head_sizes: tuple[str, ...] = ("key_dim", "value_dim", "head_dim")
    input_size: str | None = None
    compared: frozenset[str] = COMPARED
    tf_keras_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rounded: bool = False
    folds_norm: bool = False

    @property
    def is_product(self) -> bool:
        """Whether it multiplies all input channels by one kernel."""
        return self.weights == KERNEL


UNKNOWN = LayerKind("mixed")
_NORM = per_channel("gamma beta")

_LAYERS = {
    "Dense Conv2D": LayerKind("new", KERNEL, rounded=True, folds_norm=True),
    "Conv1D Conv3D": LayerKind("new", KERNEL),
    "Conv2DTranspose": LayerKind("new", TRANSPOSED, rounded=True),
    "Conv1DTranspose Conv3DTranspose": LayerKind("new", TRANSPOSED),
    "DepthwiseConv1D": LayerKind("kept", DEPTHWISE),
    "DepthwiseConv2D": LayerKind("kept", DEPTHWISE, rounded=True, folds_norm=True),
    "SeparableConv1D": LayerKind("new", SEPARABLE),
    "SeparableConv2D": LayerKind("new", SEPARABLE, rounded=True),
    "Embedding": LayerKind("new", {"embeddings": {-1: OUT}}),
    "BatchNormalization": LayerKind(
        "kept", {**_NORM, **per_channel(" ".join(AVERAGES))}, normalizes="batch"
    ),
    "LayerNormalization GroupNormalization": LayerKind("kept", _NORM, normalizes="image"),
    "RMSNormalization": LayerKind("kept", per_channel("scale"), normalizes="image"),
    "FilterResponseNormalization": LayerKind(
        "kept", per_channel("gamma beta tau"), normalizes="image"
    ),
    # keras.applications: ConvNeXt, and below Inception-ResNet
    "LayerScale": LayerKind("kept", per_channel("gamma"), input_size="projection_dim"),
    "Add Subtract Multiply Average Maximum Minimum CustomScaleLayer": LayerKind("joined"),
    "Concatenate": LayerKind("concatenated"),
    "Flatten Reshape": LayerKind("reshaped", same_numbers=True),
    "PReLU": LayerKind("kept", per_channel("alpha")),
    "LeakyReLU": LayerKind("kept", tf_keras_names={"negative_slope": "alpha"}),
    "Rescaling": LayerKind("kept", scalars=("scale", "offset")),
    """
    ActivityRegularization Identity StochasticDepth Dropout AlphaDropout GaussianDropout
    GaussianNoise SpatialDropout1D SpatialDropout2D SpatialDropout3D
    """: LayerKind("kept", same_numbers=True),
    """
    Activation ReLU ELU Softmax UnitNormalization RepeatVector Resizing
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """: LayerKind("kept"),
}
# Operations of keras.ops; some have the name of a layer.
_OPERATIONS = {
    """
    Add Subtract Multiply Divide TrueDivide DivideNoNan Power Maximum Minimum Hypot Logaddexp
    """: LayerKind("joined"),
    "Concatenate": LayerKind("concatenated"),
    "Reshape": LayerKind("reshaped", same_numbers=True),
    "Mean Sum Max Min Amax Amin Prod Std Var": LayerKind("kept", over_axes=True),
    "Squeeze ExpandDims": LayerKind("kept", over_axes=True, same_numbers=True),
    "Cast Copy StopGradient": LayerKind("kept", same_numbers=True),
    "Clip": LayerKind("kept", scalars=("x_min", "x_max")),
    """
    Absolute Celu Cos Elu Erf Exp Expm1 Gelu HardSigmoid HardSilu HardTanh LeakyRelu Log Log1p
    LogSigmoid LogSoftmax Negative Reciprocal Relu Relu6 Rsqrt Selu Sigmoid Sign Silu Sin Softmax
    Softplus Softsign Sqrt Square Tanh TanhShrink
    """: LayerKind("kept"),
}


def _by_name(rows: dict[str, LayerKind]) -> dict[str, LayerKind]:
    return {name: kind for names, kind in rows.items() for name in names.split()}


LAYERS, OPERATIONS = _by_name(_LAYERS), _by_name(_OPERATIONS)
_registered: dict[type, LayerKind] = {}


def register(layer_class: type, kind: LayerKind) -> None:
    """Adds a custom layer class to the table::

        register(MyNorm, LayerKind("kept", per_channel("gamma beta"), normalizes="image"))

    It has no effect on compression, which runs in another process.
    """
    _registered[layer_class] = kind


def kind_of(operation, derived: bool = False) -> LayerKind:
    """The row of a layer or of an operation of `keras.ops`; `UNKNOWN` if there is none.

    If `derived`, the row of the nearest base class will do; such a class may compute anything.
    """
    classes = type(operation).__mro__ if derived else (type(operation),)
    return next(filter(None, map(_row, classes)), UNKNOWN)


def _row(layer_class: type) -> LayerKind | None:
    module = layer_class.__module__
    if layer_class in _registered or not module.startswith(("keras.", "bridge_tf.")):
        return _registered.get(layer_class)
    rows = OPERATIONS if module.startswith("keras.src.ops.") else LAYERS
    return rows.get(layer_class.__name__)
