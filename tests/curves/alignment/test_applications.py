"""Networks of keras.applications, whose graphs nobody wrote for us."""

import keras
import numpy as np
import pytest

from bridge_tf.curves.alignment.spaces import find_structure
from bridge_tf.utils.keras_utils import clone
from tests.curves.alignment.models import largest_difference, outputs, shuffled, with_random_weights

pytestmark = pytest.mark.integration

# Number of free permutations, and of neurons in them.
NETWORKS = {
    "MobileNetV2": (25, 9128),
    "MobileNetV3Small": (27, 4872),
    "EfficientNetB0": (40, 11404),
    "DenseNet121": (120, 10240),
}


@pytest.fixture
def float64():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("name", NETWORKS)
def test_permuted_networks_compute_the_same(name, float64):
    options = {"weights": None, "classes": 10, "classifier_activation": None}
    model = getattr(keras.applications, name)(input_shape=(32, 32, 3), **options)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3))
    with_random_weights(model, 0, images)
    model = clone(model)  # in which adapted moments are constants, as in the other
    structure = find_structure(model)
    assert (len(structure.sizes), sum(structure.sizes)) == NETWORKS[name]
    copy = shuffled(model)
    expected, found = (outputs(network, images) for network in (model, copy))
    # Normalization at one pixel multiplies rounding; in float64 it can't be taken for a fault.
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    assert largest_difference(model, copy) > 0.1
