"""Kernels for a training step of TensorFlow on a CPU, in place of what some layers compute.

Keras builds normalizations and SiLU from operations that each read and write the whole tensor, in
the backward pass a dozen. Here batch normalization is TensorFlow's fused kernel, and XLA compiles
the element-wise passes of filter response normalization and SiLU. Convolutions stay TensorFlow's,
whose kernels are faster than XLA's. The results are the same but for rounding.

TensorFlow is looked up when needed, so that the training room also runs without it.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator

import keras

from bridge_tf.curves.curve import Curve
from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.utils.keras_utils import inner_layers

# XLA's CPU compiler stores what it sums and adds it in another pass. A sum of so many slices is
# element-wise to it, and leaves little to add.
_SLICES = 4


@contextlib.contextmanager
def cpu_kernels(model: keras.Model) -> Iterator[None]:
    """During the block, layers inside a model compute by faster kernels where there are some.

    Only the calls of these very layers change, so that nothing of it is saved or copied. Without
    TensorFlow, or with an accelerator, nothing changes.

    Args:
        model: a built Keras model that is trained without XLA, on one device.
    """
    found = []
    if keras.backend.backend() == "tensorflow" and not has_accelerator():
        # A curve hides its network from Keras.
        for layer in inner_layers(model.network if isinstance(model, Curve) else model):
            if kernel := _kernel_of(layer):
                found.append(layer)
                layer.__dict__["call"] = functools.partial(kernel, layer)
    try:
        yield
    finally:
        for layer in found:
            del layer.__dict__["call"]


def has_accelerator() -> bool:
    """Whether Keras's backend has a GPU or TPU."""
    return any(keras.distribution.list_devices(kind) for kind in ("gpu", "tpu"))


def _kernel_of(layer: keras.Layer) -> Callable | None:
    """The kernel for a layer; None if it has none. A subclass may compute anything else."""
    if layer.compute_dtype not in ("float32", "bfloat16", "float16"):
        return None
    if type(layer) is keras.layers.BatchNormalization:
        images = layer.built and layer.input_spec.ndim == 4 and layer.axis in (-1, 3)
        plain = not layer.synchronized and not getattr(layer, "renorm", False)  # not in all Keras
        return _batch_normalization if images and plain else None
    if type(layer) is FilterResponseNormalization:
        return _filter_response_normalization
    if type(layer) is keras.layers.Activation and layer.activation is keras.activations.silu:
        return _silu
    return None


def _batch_normalization(layer, inputs, training=None, mask=None):
    if not (training and layer.trainable) or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel gives the unbiased variance, Keras keeps the biased one.
    count = tf.cast(tf.size(inputs) // channels, "float32")
    variance *= tf.maximum(count - 1, 1) / count
    for average, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        average.assign(average * layer.momentum + value * (1 - layer.momentum))
    # Without an operation between them, TensorFlow fuses a ReLU into the kernel, which then turns
    # NaN into 0 and hides a training that diverged.
    return tf.ensure_shape(outputs, inputs.shape)


def _silu(layer, inputs):
    return _compiled_silu(tuple(inputs.shape), inputs.dtype)(inputs)


def _filter_response_normalization(layer, inputs):
    if None in inputs.shape[1:]:
        return type(layer).call(layer, inputs)
    weights = map(keras.ops.convert_to_tensor, (layer.gamma, layer.beta, layer.tau))
    return _compiled_frn(tuple(inputs.shape), inputs.dtype, layer.epsilon)(inputs, *weights)


# A function for each shape: TensorFlow warns of one that is traced for many.
@functools.cache
def _compiled_silu(shape, dtype) -> Callable:
    """SiLU and its gradient for tensors of a shape, each compiled by XLA."""
    import tensorflow as tf

    # In float32: XLA would round to bfloat16 and back after every operation.
    @_xla
    def forward(x):
        (x,) = _floats(x)
        return tf.cast(x * tf.sigmoid(x), dtype)

    @_xla
    def backward(x, dy):
        x, dy = _floats(x, dy)
        share = tf.sigmoid(x)
        return tf.cast(dy * share * (1 + x * (1 - share)), dtype)

    return tf.custom_gradient(lambda x: (forward(x), lambda dy: backward(x, dy)))


@functools.cache
def _compiled_frn(shape, dtype, epsilon: float) -> Callable:
    """y = max(n, tau), n = gamma · x · scale + beta, scale = 1 / sqrt(mean(x²) + epsilon).

    Compiled by XLA, with the gradient, for tensors of a shape.
    """
    import tensorflow as tf

    size = math.prod(shape[1:3])

    @_xla
    def forward(x, gamma, beta, tau):
        x, gamma, beta, tau = _floats(x, gamma, beta, tau)
        scale = tf.math.rsqrt(_sum(tf.square, x) / size + epsilon)
        y = x * _spread(scale * gamma) + beta
        # XLA's maximum would hide a NaN, and so a training that diverged.
        return tf.cast(tf.where(y < tau, tau, y), dtype), scale

    @_xla
    def backward(x, scale, gamma, beta, tau, dy):
        x, gamma, beta, tau, dy = _floats(x, gamma, beta, tau, dy)
        factor = scale * gamma

        def passed(x, dy, factor):
            return tf.where(x * factor + beta >= tau, dy, 0.0)

        each = factor[:, None]
        by_x = _sum(lambda x, dy: passed(x, dy, each) * x, x, dy)
        by_one = _sum(lambda x, dy: passed(x, dy, each), x, dy)
        held = _sum(lambda x, dy: dy - passed(x, dy, each), x, dy)
        dx = passed(x, dy, _spread(factor)) - x * _spread(scale * scale * by_x / size)
        sums = (tf.reduce_sum(values, axis=0) for values in (scale * by_x, by_one, held))
        return tuple(tf.cast(values, dtype) for values in (dx * _spread(factor), *sums))

    @tf.custom_gradient
    def normalized(x, gamma, beta, tau):
        y, scale = forward(x, gamma, beta, tau)
        return y, lambda dy: backward(x, scale, gamma, beta, tau, dy)

    return normalized


def _xla(function: Callable) -> Callable:
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def _floats(*tensors) -> Iterator:
    """The tensors in float32."""
    return (keras.ops.cast(tensor, "float32") for tensor in tensors)


def _sum(function: Callable, *tensors):
    """The sum of a function's values over height and width, N×C, for tensors N×H×W×C."""
    import tensorflow as tf

    height, width, channels = tensors[0].shape[1:]
    slices = math.gcd(height * width, _SLICES)
    shape = (-1, slices, height * width // slices, channels)
    parts = [tf.unstack(tf.reshape(tensor, shape), axis=1) for tensor in tensors]
    return tf.reduce_sum(sum(function(*part) for part in zip(*parts, strict=True)), axis=1)


def _spread(values):
    """N×C values beside N×H×W×C tensors."""
    return values[:, None, None]
