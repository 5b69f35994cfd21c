import numpy as np
import pytest

from bridge_tf.evaluation import expected_calibration_error
from bridge_tf.evaluation.metrics import confidence_bins
from tests.report.examples import log_probs_of


def test_bins_by_hand():
    # Top probabilities 0.6, 0.6 and 1, of which one, none and one are right.
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [1 - 1e-12, 1e-12]])
    bins = confidence_bins(np.log(probabilities), [0, 0, 0], bins=10)
    assert bins == [
        # (0.5, 0.6] holds both, since its upper end is its own.
        {"bin": 5, "images": 2, "confidence": pytest.approx(0.6), "accuracy": 0.5},
        {"bin": 9, "images": 1, "confidence": pytest.approx(1), "accuracy": 1.0},
    ]


def test_bins_give_the_expected_calibration_error():
    labels = np.arange(500) % 7
    log_probs = log_probs_of(labels, 7, seed=1)
    bins = confidence_bins(log_probs, labels)
    assert sum(b["images"] for b in bins) == 500
    gaps = [b["images"] * abs(b["accuracy"] - b["confidence"]) for b in bins]
    assert sum(gaps) / 500 == pytest.approx(
        expected_calibration_error(log_probs, labels), abs=1e-12
    )
