import math

import keras
import numpy as np
import pytest

from bridge_tf import InputError, build_bridge
from bridge_tf.utils.graph import extractor
from bridge_tf.utils.keras_utils import with_weights_of

L = keras.layers


def residual(x):
    y = L.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(x)
    y = L.BatchNormalization(name="norm")(y)
    return L.ReLU()(L.Add(name="join")([x, y]))


def concatenated(x):
    y = L.Conv2D(12, 1, activation="relu", name="conv")(x)
    return L.Conv2D(6, 3, name="reduce")(L.Concatenate()([x, y]))


def squeeze_and_excitation(x):
    x = L.Conv2D(16, 1, name="expand")(x)
    x = L.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = L.Reshape((1, 1, 16))(L.GlobalAveragePooling2D()(x))
    y = L.Conv2D(16, 1, activation="sigmoid", name="gate")(L.Conv2D(4, 1, name="squeeze")(y))
    return L.Conv2D(8, 1, name="project")(L.Multiply()([x, y]))


def grouped(x):
    x = L.Conv2D(12, 3, groups=4, name="groups")(x)
    x = L.GroupNormalization(4, name="norm")(x)
    return L.Conv2D(12, 3, groups=12, padding="same", name="depthwise")(x)


def separable(x):
    return L.SeparableConv2D(10, 3, name="separable")(x) * 0.5 + 1.0


def attention(x):
    x = L.Reshape((16, 8), name="tokens")(x)
    y = L.LayerNormalization(name="norm")(x)
    x = x + L.MultiHeadAttention(2, 4, name="attention")(y, y)
    return L.Dense(12, activation="gelu", name="mlp")(x)


def recurrent(x):
    x = L.Reshape((16, 8), name="tokens")(x)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True), name="both_ways")(x)
    return L.TimeDistributed(L.Dense(6), name="each")(L.GRU(6, return_sequences=True)(x))


def nested(x):
    inner = keras.Sequential([L.Conv2D(8, 3), L.BatchNormalization(), L.ReLU()], name="inner")
    image = keras.Input(inner(x).shape[1:])
    block = keras.Model(image, L.Add()([image, L.Conv2D(8, 1)(image)]), name="block")
    return block(inner(x))


def shared(x):
    conv = L.Conv2D(8, 3, padding="same", activation="relu", name="shared_conv")
    return conv(conv(x))


BODIES = [
    residual,
    concatenated,
    squeeze_and_excitation,
    grouped,
    separable,
    attention,
    recurrent,
    nested,
    shared,
]


def classifier(body):
    image = keras.Input((4, 4, 2))
    x = body(L.Conv2D(8, 3, padding="same", name="tap")(image))
    x = L.Flatten(name="flat")(x)
    x = L.Dense(10, activation="relu", name="hidden")(x)
    return keras.Model(image, L.Dense(5, name="logits")(x))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@pytest.mark.parametrize("width", [0.25, 0.5, 0.7, 2.0])
def test_every_layer_with_channels_of_its_own_is_scaled(body, width):
    base = classifier(body)
    bridge = build_bridge(base, "tap", width)
    assert bridge.input_shape == (None, 4, 4, 8) and bridge.output_shape == (None, 5)
    assert bridge.get_layer("hidden").units == max(1, round(10 * width))
    tail = sum(layer.count_params() for layer in base.layers[2:])
    # What comes in and goes out keeps its channels, so that less than the square is saved.
    assert (bridge.count_params() < tail) == (width < 1)
    features = np.random.default_rng(0).normal(size=(3, 4, 4, 8)).astype("float32")
    assert np.isfinite(bridge(features)).all()


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_at_width_one_with_the_weights_of_the_tail_it_is_the_tail(body):
    base = classifier(body)
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype("float32")
    features = extractor(base, ["tap"], logits=False)(images)
    bridge = build_bridge(base, "tap", 1.0, warm_start=base)
    np.testing.assert_allclose(bridge(features), base(images), atol=1e-5)
    fresh = build_bridge(base, "tap", 1.0)
    assert np.abs(fresh(features) - base(images)).max() > 1e-2
    tail = keras.Model(base.get_layer("tap").output, base.output)
    np.testing.assert_allclose(with_weights_of(tail, fresh)(features), base(images), atol=1e-5)


def test_grouped_layers_keep_groups_that_divide():
    bridge = build_bridge(classifier(grouped), "tap", 0.5)
    groups = bridge.get_layer("groups")
    assert (groups.groups, groups.filters) == (4, 4 * round(6 / 4))
    assert bridge.get_layer("norm").groups == math.gcd(4, groups.filters)
    assert bridge.get_layer("depthwise").groups == groups.filters


def test_odd_channels_in_a_join_are_projected_with_the_norm_of_the_network():
    bridge = build_bridge(classifier(residual), "tap", 0.5)
    assert bridge.get_layer("join_projection").filters == 4
    assert isinstance(bridge.get_layer("join_projection_norm"), L.BatchNormalization)
    names = [layer.name for layer in build_bridge(classifier(residual), "tap", 1.0).layers]
    assert not [name for name in names if "projection" in name]


@keras.saving.register_keras_serializable(package="tests")
class Fixed(keras.layers.Layer):
    """A layer that takes eight channels only, whatever the width."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(8,), name="scale")

    def call(self, x):
        return x * self.scale


def test_a_layer_that_can_not_be_scaled_is_named():
    base = classifier(lambda x: Fixed(name="stubborn")(L.Conv2D(8, 3, name="conv")(x)))
    build_bridge(base, "tap", 1.0)
    with pytest.raises(InputError, match=r"`bridge_width=0\.5`: layer 'stubborn' \(Fixed\)"):
        build_bridge(base, "tap", 0.5)
    base = classifier(lambda x: L.Reshape((4, 4, 4, 2))(L.Conv2D(8, 1)(x)))
    with pytest.raises(InputError, match=r"'reshape.*Reshape"):
        build_bridge(base, "tap", 0.3)
