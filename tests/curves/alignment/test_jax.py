"""Alignment on the JAX backend, in a process of its own, without TensorFlow."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.extras import needs_jax
from tests.without_tensorflow import FORBIDDEN

pytestmark = pytest.mark.integration

PROGRAM = (
    FORBIDDEN
    + """
import json
import keras, numpy as np
from bridge_tf import build_network
from bridge_tf.curves.alignment import METHODS, align
from tests.curves.alignment.models import largest_difference, outputs, shuffled, with_random_weights

images = np.random.default_rng(0).uniform(0, 255, (70, 8, 8, 1)).astype("float32")
start = build_network("resnet8", (8, 8, 1), 5, norm="batch", width=0.25)
end = shuffled(with_random_weights(start, 0, images))
expected = outputs(start, images)
found = {
    "backend": keras.backend.backend(),
    "moved": largest_difference(start, end),
    "change": float(np.abs(outputs(end, images) - expected).max() / np.abs(expected).max()),
}
for method in METHODS:
    found[method] = largest_difference(start, align(start, end, method, images))
try:
    align(start, end, "activations", images[:, 1:, :, :0])
except ValueError:
    found["refused"] = True
found["start"] = float(np.abs(outputs(start, images) - expected).max())
print(json.dumps(found))
"""
)


@needs_jax
def test_shuffled_neurons_are_put_back_on_jax():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=REPOSITORY,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["backend"] == "jax" and found["moved"] > 0.1 and found["change"] < 1e-5
    # Bad data is refused, and the models outlive it.
    assert found["refused"] and found["start"] == 0
    assert found["weights"] < 1e-6 and found["activations"] < 1e-6
