"""Bodies of small networks, one for each thing a graph may do with its channels."""

import keras
import numpy as np
from keras import layers, ops


def conv(filters, size=3, **kwargs):
    return layers.Conv2D(filters, size, padding="same", **kwargs)


def finish(x):
    return layers.Dense(4)(layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x)


def flatten(x):
    x = layers.PReLU()(conv(6)(x))
    x = layers.PReLU(shared_axes=[1, 2])(conv(7)(layers.MaxPooling2D()(x)))
    return layers.Dense(8, "gelu")(layers.Flatten()(x))


def residual(x):
    x = layers.BatchNormalization()(conv(6)(x))
    y = conv(6)(layers.ReLU()(conv(5)(x)))
    return layers.Add()([x, y]) * 0.5 + y


def concatenated(x):
    a, b = conv(5)(x), conv(6)(x)
    x = layers.BatchNormalization()(layers.Concatenate()([a, b, conv(7)(a)]))
    return layers.Flatten()(layers.ReLU()(x))


def concatenated_in_space(x):
    return ops.concatenate([conv(6)(x), conv(6)(x)], axis=1)


def unequal_segments(x):
    a, b, whole = conv(5)(x), conv(6)(x), conv(11)(x)
    return conv(7)(layers.Add()([layers.Concatenate()([a, b]), whole]))


def overlapping_segments(x):
    a, b = conv(4)(x), conv(8)(x)
    joins = layers.Concatenate()([a, b]) + layers.Concatenate()([b, a])
    return conv(7)(joins * layers.Concatenate()([conv(6)(x), conv(6)(x)]))


def flattened_join(x):
    x = layers.MaxPooling2D(4)(conv(6)(x))
    return layers.Flatten()(x) + layers.Dense(24)(layers.Flatten()(x))


def squeeze_and_excite(x):
    x = conv(6)(x)
    y = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([x, conv(6, 1, activation="sigmoid")(conv(3, 1)(y))])


def keras_operations(x):
    x = ops.clip(ops.relu6(conv(6)(x) + 3.0) * ops.ones((1, 1, 1, 1)), 0, 5)
    y = ops.expand_dims(ops.mean(x, axis=(1, 2)), (1, 2))
    return conv(5)(x * ops.softmax(y) - ops.squeeze(ops.expand_dims(x, 1), 1))


def constant_per_channel(x):
    return conv(6)(conv(5)(x) * np.arange(5, dtype="float32"))


def spatial_attention(x):
    x = conv(6)(x)
    return x * conv(1, activation="sigmoid")(x)


def depthwise(x):
    return layers.SeparableConv2D(5, 3)(layers.DepthwiseConv2D(3)(conv(6)(x)))


def depthwise_multiplied(x):
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(conv(6)(x))
    return conv(8)(layers.SeparableConv2D(5, 3, depth_multiplier=2)(conv(7)(x)))


def grouped(x):
    return conv(5)(conv(8, groups=2)(conv(6)(x)))


def depthwise_by_groups(x):
    return conv(5)(conv(6, groups=6)(conv(6)(x)))


def transposed(x):
    x = layers.UpSampling2D()(layers.Conv2DTranspose(5, 3)(conv(6)(x)))
    return layers.ZeroPadding2D()(layers.Cropping2D()(x))


def one_and_three_dimensions(x):
    x = layers.Conv1D(7, 3)(layers.SeparableConv1D(6, 3)(layers.Reshape((-1, 3))(x)))
    x = layers.Conv3D(5, (3, 1, 1))(layers.Reshape((-1, 1, 1, 7))(x))
    return layers.GlobalMaxPooling3D()(x)


def normalized(x):
    x = layers.LayerNormalization()(conv(6)(x))
    x = layers.RMSNormalization()(conv(7)(x))
    x = layers.UnitNormalization()(layers.GroupNormalization(1)(conv(8)(x)))
    x = layers.GroupNormalization(-1)(conv(9)(x))
    return layers.GroupNormalization(2)(conv(10)(x))


def channels_softmax(x):
    return layers.Softmax()(conv(6)(x)) * layers.Activation("log_softmax")(conv(6)(x))


def gated(x):
    return conv(6)(ops.glu(conv(8)(x)))


@keras.saving.register_keras_serializable(package="tests")
def reverse(x):
    return x[..., ::-1]


def custom_activation(x):
    return conv(6)(conv(5, activation=reverse)(x))


def sliced(x):
    return conv(6)(conv(8)(x)[..., :5])


def weighted_average(x):
    x = conv(5)(x)
    return conv(6)(ops.average(x, axis=1, weights=ops.sigmoid(x))[:, None])


def mean_of_channels(x):
    return conv(7)(ops.mean(conv(6)(x), axis=-1, keepdims=True))


def twice(x):
    shared = conv(6)
    return shared(conv(6)(x)) + shared(conv(6)(x))


def attention(x):
    x = layers.Dense(7, "relu")(layers.Reshape((-1, 6))(conv(6)(x)))
    x = layers.MultiHeadAttention(2, 4)(x, x)
    return layers.GlobalAveragePooling1D()(layers.Dense(8)(x))


def recurrent(x):
    x = layers.LSTM(5)(layers.Reshape((-1, 6))(conv(6)(x)))
    return layers.Dense(7)(x)


def quantized_adapter(x):
    dense = layers.Dense(6)
    x = layers.Dense(7)(dense(conv(5)(x)))
    dense.enable_lora(2)
    return x


class Twin(layers.Conv2D):
    """Might compute anything."""

    def call(self, x):
        return super().call(x)[..., ::-1]


def derived_layer(x):
    return conv(6)(Twin(5, 3)(conv(7)(x)))


def functional_inside(x):
    inner = keras.Input((8, 8, 6))
    y = conv(6, activation="relu")(inner)
    block = keras.Model(inner, [layers.Add()([inner, y]), conv(5)(y)])
    a, b = block(conv(6)(x))
    return layers.Concatenate()([a, b])


def sequential_inside(x):
    block = keras.Sequential([keras.Input((8, 8, 6)), conv(7), conv(6), layers.ReLU()])
    return block(block(conv(6)(x)))


# The sizes of the free spaces that each body has behind an input of 3 channels.
BODIES = {
    flatten: [6, 7, 8],
    residual: [5, 6],
    concatenated: [5, 6, 7],
    concatenated_in_space: [6],
    unequal_segments: [5, 6, 7],
    overlapping_segments: [2, 2, 7],
    flattened_join: [6],
    squeeze_and_excite: [3, 6],
    keras_operations: [5, 6],
    constant_per_channel: [6],
    spatial_attention: [6],
    depthwise: [5, 6],
    depthwise_multiplied: [8],
    grouped: [5],
    depthwise_by_groups: [5, 6],
    transposed: [5, 6],
    one_and_three_dimensions: [5, 6, 7],
    normalized: [6, 7, 8, 9],
    channels_softmax: [6],
    gated: [6],
    custom_activation: [6],
    sliced: [6],
    weighted_average: [6],
    mean_of_channels: [7],
    twice: [6, 6],
    attention: [6, 8],
    recurrent: [7],
    quantized_adapter: [7],
    derived_layer: [6],
    functional_inside: [5, 6],
    sequential_inside: [6, 7],
}
