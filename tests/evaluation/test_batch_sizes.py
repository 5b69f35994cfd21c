"""The last, smaller batch counts: figures don't depend on how images are batched."""

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, build_bridge
from bridge_tf.ensembles.baselines import batch_ensemble, mc_dropout, with_members
from bridge_tf.evaluation import ensemble_log_probs, score
from bridge_tf.evaluation.scores import log_prob_predictor


def networks(build):
    base = build("batch")
    bridges = [build_bridge(base, "stage2_block1", 0.5) for _ in range(2)]
    yield "network", base
    yield "bridges", BridgeEnsemble(base, bridges)
    yield "batch_ensemble", with_members(batch_ensemble(base, 3), 3)
    yield "mc_dropout", with_members(mc_dropout(build("frn"), 3), 3)


@pytest.mark.parametrize("number", range(4))
def test_figures_are_equal_for_batches_of_any_size(number, build):
    name, model = list(networks(build))[number]
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (501, 8, 8, 1)).astype("float32")
    labels = generator.integers(0, 5, 501)

    def figures(batch_size):
        log_probs = log_prob_predictor(model, batch_size)(images)
        if log_probs.ndim == 3:
            log_probs = ensemble_log_probs(log_probs)
        assert log_probs.shape == (501, 5)
        return score(log_probs[:400], labels[:400], log_probs[400:], labels[400:])

    wanted = figures(500)
    for batch_size in (1, 7):
        found = figures(batch_size)
        assert found == pytest.approx(wanted, abs=1e-6, rel=0), (name, batch_size)
