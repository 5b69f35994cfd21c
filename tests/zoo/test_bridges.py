"""Bridges on networks that nobody wrote for bridges, from the choice of the tap to the export."""

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, Recipe, build_bridge, export, fit_bridge
from bridge_tf.bridges.distillation import BridgeTraining
from bridge_tf.bridges.tap_choice import choose_bridge
from bridge_tf.networks.flops import count_flops
from tests.curves.alignment.models import with_random_weights
from tests.zoo import models

RECIPE = Recipe(epochs=30, learning_rate=0.003, warmup_epochs=0, jit_compile=False)
BUDGET = 0.15
QUICK = ("vision_transformer", "lstm", "sequential_mlp")


@pytest.mark.parametrize("name", models.marked(QUICK))
def test_auto_tap_training_and_export(name, tmp_path):
    base, member = models.build(name), models.build(name)
    x = models.inputs(base)
    for seed, network in enumerate((base, member)):
        # At their initial weights deep networks say nothing about their input.
        with_random_weights(network, seed, x)
    choice = choose_bridge(base, BUDGET)
    bridge = build_bridge(base, choice.tap, choice.width)
    relative = count_flops(bridge) / count_flops(base)
    assert relative == pytest.approx(choice.relative_flops) and relative <= BUDGET

    training = BridgeTraining(bridge, base, member)
    before = float(training.compute_loss(x=x, y_pred=training(x, training=True)))
    fit_bridge(bridge, base, member, x, RECIPE, batch_size=8)
    after = float(training.compute_loss(x=x, y_pred=training(x, training=True)))
    assert after < before

    ensemble = BridgeEnsemble(base, [bridge])
    artifacts = export(ensemble, tmp_path, "model", x)
    assert artifacts.max_difference < 1e-4
    probabilities = ensemble.predict(x, verbose=0)["probabilities"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
