import keras
import numpy as np
import pytest

from bridge_tf import InputError, build_bridge, build_network
from bridge_tf.config import Config


@pytest.mark.parametrize("norm", ["batch", "frn"])
def test_groups_halve_the_image_and_double_the_channels(norm):
    network = build_network("vgg8", (32, 32, 3), 10, norm=norm)
    for group, (size, channels) in enumerate([(16, 32), (8, 64), (4, 128)], start=1):
        for k in (1, 2):
            output = network.get_layer(f"group{group}_act{k}").output
            assert output.shape == (None, size, size, channels)
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    assert sum(isinstance(layer, kinds) for layer in network.layers) == 8
    tap = Config(model="vgg8").taps[0]
    assert build_bridge(network, tap, 0.5).input_shape == (None, 8, 8, 64)


def test_parameters_by_hand():
    convolutions = 9 * (3 * 32 + 32 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    channels = 32 + 2 * (32 + 64 + 128)
    network = build_network("vgg8", (28, 28, 3), 7, norm="batch")
    assert network.count_params() == convolutions + 4 * channels + 7 * 128


def test_convolutions_start_as_the_identity_as_far_as_channels_reach():
    keras.utils.set_random_seed(0)
    network = build_network("vgg8", (16, 16, 3), 5, width=0.5)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    outputs = network.get_layer("group2_conv1")(x)
    assert outputs.shape[-1] == 32
    np.testing.assert_array_equal(outputs[..., :16], x)
    assert 0.1 < np.std(outputs[..., 16:]) < 1
    seeds = [build_network("vgg8", (16, 16, 3), 5, width=0.5).get_weights() for _ in range(2)]
    assert any(not np.array_equal(a, b) for a, b in zip(*seeds, strict=True))


def test_what_it_lacks_is_refused():
    with pytest.raises(InputError, match="`model`: no network 'vgg11'"):
        build_network("vgg11", (32, 32, 3), 10)
    with pytest.raises(ValueError, match="norm=layer"):
        build_network("vgg8", (32, 32, 3), 10, norm="layer")
    with pytest.raises(InputError, match="`stem=small`: not for `model=vgg8`"):
        Config(model="vgg8", stem="small")
