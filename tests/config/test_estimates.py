"""What fits on no machine is refused; what people train isn't."""

import pytest

from bridge_tf.config import Config, estimates
from bridge_tf.config.estimates import check_size, least_weights
from bridge_tf.networks import build_network
from bridge_tf.utils import memory
from bridge_tf.utils.errors import InputError


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with 4 GB left."""
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 10**9)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 1e9},
        {"model": "imagenet_resnet50", "width": 1000.0},
        {"model": "MobileNetV2", "width": 1e9},
        {"model": "MobileNetV2", "input_size": 100_000},
        {"curve_degree": 1_000_000},
        {"num_modes": 1_000_000_000},
        {"num_modes": 10_000, "bridge_type": 2},
        {"bridge_width": 1e9},
        {"dataset": "folder:a", "image_size": 1_000_000},
        {"augment": "crop", "crop_padding": 1_000_000},
    ],
)
def test_settings_that_fit_on_no_machine(settings):
    name = [*settings][-1] if "bridge_type" not in settings else "num_modes"
    with pytest.raises(InputError, match=rf"^`{name}=.*`: .* GB of memory, 4.0 GB are available; "):
        check_size(Config(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"width": 8.0},
        {"model": "imagenet_resnet101", "width": 2.0},
        {"model": "MobileNetV2", "width": 1.4, "input_size": 224},
        {"num_modes": 100, "bridge_type": 2},
        {"curve_degree": 20},
        {"bridge_width": 4.0},
        {"dataset": "folder:a", "image_size": 512},
        {"dataset": "digits", "image_size": 1_000_000},  # not used
        {"modes": ("a.keras", "b.keras")},
    ],
)
def test_settings_that_people_use(settings):
    check_size(Config(**settings))


@pytest.mark.parametrize("width", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("model", ["resnet8", "resnet20", "imagenet_resnet18", "MobileNetV2"])
def test_the_estimate_of_weights_is_a_lower_bound(model, width):
    width = 1.4 if model == "MobileNetV2" else width
    network = build_network(model, (32, 32, 3), 2, width=width)
    found = least_weights(Config(model=model, width=width))
    # Near enough to be of use: the other stages and convolutions have the rest.
    assert 0.01 * network.count_params() < found <= network.count_params()


def test_images_of_timings():
    with pytest.raises(InputError, match=r"^`batch_size=2000000`: "):
        check_size(Config(batch_size=2_000_000), image_size=32)
    check_size(Config(batch_size=2_000_000))


def test_a_curve_between_known_networks():
    estimates.check_curve(Config(curve_degree=4), 10**7)
    with pytest.raises(InputError, match=r"^`curve_degree=100`: the control points of a curve"):
        estimates.check_curve(Config(curve_degree=100), 10**7)
