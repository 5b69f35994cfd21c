import keras
import numpy as np
import pytest

from bridge_tf import FilterResponseNormalization, build_network
from bridge_tf.config import Config


@pytest.mark.parametrize("name", [f"resnet{depth}" for depth in range(8, 57, 6)])
def test_depth_counts_convolutions_and_the_classifier(name):
    network = build_network(name, (32, 32, 3), 10)
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    layers = [x for x in network.layers if isinstance(x, kinds) and "shortcut" not in x.name]
    assert len(layers) == int(name.removeprefix("resnet"))
    blocks = (len(layers) - 2) // 6
    for stage, (size, channels) in enumerate([(32, 16), (16, 32), (8, 64)], start=1):
        for block in range(1, blocks + 1):
            output = network.get_layer(f"stage{stage}_block{block}").output
            assert output.shape == (None, size, size, channels)
    assert network.get_layer(Config(model=name).taps[0]).output.shape == (None, 16, 16, 32)


def test_parameters_by_hand():
    # Stem 27·16, stages, 64·10 + 10; batch norm has 2 trained and 2 moving values a channel.
    convolutions = 27 * 16 + 2 * 9 * 16 * 16
    convolutions += 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32
    convolutions += 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    channels = 16 * 3 + 32 * 3 + 64 * 3
    network = build_network("resnet8", (32, 32, 3), 10, norm="batch")
    assert network.count_params() == convolutions + 4 * channels + 650
    network = build_network("resnet8", (32, 32, 3), 10, norm="frn")
    assert network.count_params() == convolutions + 3 * channels + 650


def test_filter_response_normalization_by_hand():
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype("float32")
    layer = FilterResponseNormalization(epsilon=1e-4)
    layer.build(x.shape)
    gamma, beta, tau = np.array([2.0, -1.0]), np.array([0.5, 0.1]), np.array([-0.3, 0.2])
    for variable, value in ((layer.gamma, gamma), (layer.beta, beta), (layer.tau, tau)):
        variable.assign(value)
    nu2 = (x.astype("float64") ** 2).mean(axis=(1, 2), keepdims=True)
    expected = np.maximum(gamma * x / np.sqrt(nu2 + 1e-4) + beta, tau)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    with pytest.raises(ValueError, match="epsilon=0"):
        FilterResponseNormalization(epsilon=0)


def test_pixels_are_scaled_inside():
    network = build_network("resnet8", (8, 8, 3), 2, pixel_mean=(0.5, 0.4, 0.3), pixel_std=0.2)
    scaled = network.get_layer("pixels")(np.full((1, 8, 8, 3), 255.0))
    np.testing.assert_allclose(scaled[0, 0, 0], [2.5, 3.0, 3.5], rtol=1e-6)


def test_kernels_are_drawn_he_fan_out():
    network = build_network("resnet8", (32, 32, 3), 10, width=4)
    kernel = network.get_layer("stage3_block1_conv2").kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.02)


def test_bad_options_are_named():
    for options, message in (
        ({"norm": "layer"}, "norm=layer"),
        ({"width": 0}, "width=0"),
        ({"pixel_mean": (0.1, 0.2)}, "pixel_mean"),
    ):
        with pytest.raises(ValueError, match=message):
            build_network("resnet8", (8, 8, 3), 2, **options)
