"""The network that is as wide as a bridge ensemble is dear."""

import keras
import pytest

from bridge_tf.config import Config
from bridge_tf.ensembles.baselines.wide import width_for
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.bridge_settings import configured_bridge
from bridge_tf.runs.counted_networks import Networks

SHAPE = (32, 32, 3)


def own_model():
    """A user's model: separable convolutions, batch norm, a residual join, a softmax."""
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(inputs)
    for k, filters in enumerate((16, 32, 64)):
        y = layers.Conv2D(filters, 3, padding="same", strides=2 if k else 1)(x)
        y = layers.SeparableConv2D(filters, 3, padding="same")(y)
        y = layers.BatchNormalization()(y)
        x = layers.Add()([layers.Conv2D(filters, 1, strides=2 if k else 1)(x), y])
        x = layers.ReLU(name=f"block{k}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


@pytest.mark.parametrize(
    ("model", "taps", "shape"),
    [
        pytest.param("resnet8", "stage2_block1", SHAPE, marks=pytest.mark.integration),
        pytest.param("own", "block1", SHAPE, marks=pytest.mark.integration),
        pytest.param("MobileNetV2", "block_12_add", (96, 96, 3), marks=pytest.mark.zoo),
    ],
)
def test_a_wide_network_costs_what_the_largest_bridge_ensemble_costs(tmp_path, model, taps, shape):
    if model == "own":
        model = str(tmp_path / "own.keras")
        own_model().save(model)
    config = Config(model=model, taps=[taps], num_modes=4)
    networks = Networks(config, shape, 10)
    wide = networks.wide()
    bridge = configured_bridge(config, networks.model, [taps], config.bridge_width)
    ensemble = count_flops(BridgeEnsemble(networks.model, [bridge] * 3))
    assert count_flops(wide) == pytest.approx(ensemble, rel=0.02)
    assert wide.output_shape == networks.model.output_shape
    narrow = networks.wide(networks.packed_width)
    assert 4 * count_flops(narrow) == pytest.approx(count_flops(networks.model), rel=0.1)


def test_the_nearest_width_is_found():
    def build(width):
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(round(10 * width), use_bias=False)(inputs))

    assert count_flops(build(1)) == 80
    assert round(10 * width_for(build, 80)) == 10
    assert round(10 * width_for(build, 41)) == 5
    assert round(10 * width_for(build, 155)) == 19  # 152, where 20 is 160
    assert round(10 * width_for(build, 1001)) == 125
