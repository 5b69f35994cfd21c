"""Re-estimation pays: a curve member of a batch-norm network with and without it."""

import keras
import numpy as np
import pytest

from bridge_tf import Curve, Recipe, build_network, fit_curve, fit_modes
from bridge_tf.curves.batch_norm import unsettled
from bridge_tf.evaluation.metrics import accuracy
from bridge_tf.evaluation.scores import log_prob_predictor


def patterns(count, seed):
    """CIFAR-sized images of four classes: gratings of four directions in noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    rows, columns = np.mgrid[:32, :32]
    angle = labels[:, None, None] * np.pi / 4
    phase = generator.uniform(0, 2 * np.pi, (count, 1, 1))
    waves = np.sin(0.8 * (rows * np.sin(angle) + columns * np.cos(angle)) + phase)
    images = 128 + 40 * waves[..., None] + generator.normal(0, 60, (count, 32, 32, 3))
    return np.clip(images, 0, 255).astype("float32"), labels


@pytest.mark.slow
def test_resnet20_at_one_half_with_and_without_reestimation():
    train, test = patterns(256, 0), patterns(200, 1)
    recipe = Recipe(epochs=4, learning_rate=0.1, warmup_epochs=1, jit_compile=False)
    modes = fit_modes(
        lambda: build_network("resnet20", (32, 32, 3), 4, norm="batch"),
        train,
        num_modes=2,
        recipe=recipe,
        batch_size=32,
    )
    curve = Curve.between(*modes)
    fit_curve(curve, train, recipe, batch_size=32)
    found = {}
    for name, data in (("interpolated", None), ("re-estimated", train[0])):
        member = curve.model_at(0.5, data)
        found[name] = accuracy(log_prob_predictor(member)(test[0]), test[1])
    assert found["re-estimated"] >= found["interpolated"] + 0.2, found
    assert found["re-estimated"] > 0.6, found


@pytest.mark.parametrize("steps", [1, 40])
def test_what_moving_averages_hold_of_their_first_values(steps):
    inputs = keras.Input((3,))
    slow = keras.layers.BatchNormalization(momentum=0.97)
    network = keras.Model(inputs, slow(keras.layers.BatchNormalization(momentum=0.9)(inputs)))
    inner = keras.Model(inputs, network.layers[1].output)
    batch = np.random.default_rng(0).normal(5, 1, (64, 3)).astype("float32")
    first = slow.moving_variance.numpy() + 3
    slow.moving_variance.assign(first)
    for _ in range(steps):
        network(batch, training=True)
    # Each batch as the slow layer sees it has the variance 1: what is left above is of the first.
    held = (slow.moving_variance.numpy() - 1) / (first - 1)
    np.testing.assert_allclose(held, unsettled(network, steps), atol=2e-3)
    assert unsettled(inner, steps) == 0.9**steps
    assert unsettled(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), steps) == 0
