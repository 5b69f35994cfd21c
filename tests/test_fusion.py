"""Bridges side by side answer as the bridges one after the other."""

import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import build_bridge
from bridge_tf.fusion import fuse_bridges
from bridge_tf.layers import inner_layers


def noisy(model, seed: int):
    """The model with weights and statistics that are all its own."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        value = variable.numpy() + generator.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(value) + 0.01 if "variance" in variable.path else value)
    return model


def bridges_of(base, taps, width=0.5, count=3, **options):
    return [
        noisy(build_bridge(base, taps, width, warm_start=None, **options), k) for k in range(count)
    ]


def features_for(bridge):
    generator = np.random.default_rng(9)
    found = [generator.normal(0, 1, (4, *x.shape[1:])).astype("float32") for x in bridge.inputs]
    return found if len(found) > 1 else found[0]


def assert_equal_to_the_loop(bridges):
    fused = fuse_bridges(bridges)
    features = features_for(bridges[0])
    wanted = np.stack([keras.ops.convert_to_numpy(bridge(features)) for bridge in bridges], 1)
    assert np.abs(wanted[:, 0] - wanted[:, 1]).max() > 1e-2
    found = keras.ops.convert_to_numpy(fused(features))
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)
    return fused


@pytest.mark.parametrize("norm", ["frn", "batch"])
@pytest.mark.parametrize(
    "taps", ["stage2_block1", ["stem", "stage2_block1"], ["stem", "stage1_block1", "stage2_block1"]]
)
@pytest.mark.parametrize("width", [0.5, 1])
def test_fused_bridges_of_the_resnets(build, norm, taps, width):
    bridges = bridges_of(build(norm), taps, width)
    before = [bridge.get_weights() for bridge in bridges]
    fused = assert_equal_to_the_loop(bridges)
    grouped = {x.groups for x in inner_layers(fused) if isinstance(x, layers.Conv2D)}
    assert max(grouped) == 3
    assert fused.count_params() == sum(bridge.count_params() for bridge in bridges)
    for bridge, weights in zip(bridges, before, strict=True):
        for a, b in zip(bridge.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)


def of(tail, channels=6):
    """A network of one tap, `tap`, and what `tail` makes of it."""
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(channels, 3, padding="same", name="tap")(image)
    return keras.Model(image, layers.Dense(5, name="logits")(tail(x)))


def depthwise(x):
    """An inverted residual block, whose sum begins at the tap itself."""
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(12, 1)(x)))
    y = layers.DepthwiseConv2D(3, padding="same")(layers.ZeroPadding2D(1)(y))
    y = layers.Cropping2D(1)(layers.BatchNormalization()(y))
    y = layers.Activation("silu")(layers.BatchNormalization()(layers.Conv2D(6, 1)(y)))
    x = layers.Add()([x, y])
    return layers.GlobalMaxPooling2D()(layers.MaxPooling2D()(x))


def test_depthwise_convolutions_and_sums_with_the_tap():
    assert_equal_to_the_loop(bridges_of(of(depthwise), "tap", 1))


def called_twice(x):
    """Layers without weights that are called on shared and on stacked channels, and a join of 3."""
    relu, pool = layers.ReLU(), layers.MaxPooling2D(2, 1, padding="same")
    x = pool(relu(x))
    y = relu(layers.Conv2D(6, 3, padding="same")(x))
    z = relu(layers.Conv2D(6, 3, padding="same", groups=2)(x))
    return layers.GlobalAveragePooling2D()(layers.Add()([pool(y), x, z]) * 0.5)


def test_layers_that_are_called_twice():
    assert_equal_to_the_loop(bridges_of(of(called_twice), "tap", 1))


def flattened(x):
    return layers.Flatten()(layers.Conv2D(4, 3)(x))


def with_layer_norm(x):
    return layers.GlobalAveragePooling2D()(layers.LayerNormalization()(layers.Conv2D(4, 3)(x)))


def with_concatenation(x):
    x = layers.Conv2D(4, 3)(x)
    return layers.GlobalAveragePooling2D()(layers.Concatenate()([x, layers.ReLU()(x)]))


def with_attention(x):
    x = layers.Conv2D(4, 3)(x)
    return layers.GlobalAveragePooling2D()(layers.Attention()([x, x]))


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


def with_a_layer_of_the_users_own(x):
    return layers.GlobalAveragePooling2D()(Doubled()(layers.Conv2D(4, 3)(x)))


def with_softmax_between(x):
    return layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="softmax")(x))


@keras.saving.register_keras_serializable()
def normalized_over_channels(x):
    return x - keras.ops.mean(x, axis=-1, keepdims=True)


def with_an_activation_of_the_users_own(x):
    x = layers.Conv2D(4, 3, activation=normalized_over_channels)(x)
    return layers.GlobalAveragePooling2D()(x)


@pytest.mark.parametrize(
    "tail",
    [
        *(flattened, with_layer_norm, with_concatenation, with_attention),
        *(with_a_layer_of_the_users_own, with_softmax_between),
        with_an_activation_of_the_users_own,
    ],
)
def test_what_may_mix_channels_is_not_fused(tail):
    assert fuse_bridges(bridges_of(of(tail), "tap", 1)) is None


def test_bridges_that_differ_are_not_fused(build):
    base = build("frn")
    (one,), (wide,) = (bridges_of(base, "stage2_block1", width, 1) for width in (0.5, 1))
    (earlier,) = bridges_of(base, "stage1_block1", 0.5, 1)
    (conditioned,) = bridges_of(base, "stage2_block1", 0.5, 1, conditioned=True)
    (of_both_ends,) = bridges_of(base, "stage2_block1", 0.5, 1, bridge_type=2)
    (of_another_norm,) = bridges_of(build("batch"), "stage2_block1", 0.5, 1)
    for other in (wide, earlier, conditioned, of_both_ends, of_another_norm):
        assert fuse_bridges([one, other]) is None
    assert fuse_bridges([of_both_ends, of_both_ends]) is None
    assert fuse_bridges([conditioned, conditioned]) is None
