"""The last, smaller batch counts: figures don't depend on how images are batched."""

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, build_bridge
from bridge_tf.ensembles.baselines import batch_ensemble, mc_dropout, with_members
from bridge_tf.evaluation import ensemble_log_probs, score
from bridge_tf.evaluation.scores import log_prob_predictor


def bridges(base):
    return BridgeEnsemble(base, [build_bridge(base, "stage2_block1", 0.5) for _ in range(2)])


NETWORKS = {
    "network": lambda build: build("batch"),
    "bridges": lambda build: bridges(build("batch")),
    "batch_ensemble": lambda build: with_members(batch_ensemble(build("batch"), 3), 3),
    "mc_dropout": lambda build: with_members(mc_dropout(build("frn"), 3), 3),
}


@pytest.mark.integration
@pytest.mark.parametrize("name", NETWORKS)
def test_figures_are_equal_for_batches_of_any_size(name, build):
    model = NETWORKS[name](build)
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (151, 8, 8, 1)).astype("float32")
    labels = generator.integers(0, 5, 151)

    def figures(batch_size):
        log_probs = log_prob_predictor(model, batch_size)(images)
        if log_probs.ndim == 3:
            log_probs = ensemble_log_probs(log_probs)
        assert log_probs.shape == (151, 5)
        return score(log_probs[:100], labels[:100], log_probs[100:], labels[100:])

    wanted = figures(150)
    for batch_size in (1, 7):
        found = figures(batch_size)
        # Without the prior T may be large, where the NLL is so flat that what batches round
        # differently, 1e-6 of a log-probability, moves its minimum by more than the search does.
        likeliest, expected = (x.pop("temperature_ml") for x in (found, dict(wanted)))
        assert np.log(likeliest) == pytest.approx(np.log(expected), abs=1e-5)
        rest = {key: value for key, value in wanted.items() if key != "temperature_ml"}
        assert found == pytest.approx(rest, abs=1e-6, rel=0), (name, batch_size)
