"""Metrics of what predictions say of themselves, against scikit-learn, SciPy and sums by hand."""

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import mannwhitneyu
from sklearn.calibration import calibration_curve
from sklearn.metrics import det_curve, precision_recall_curve, zero_one_loss

from bridge_tf.evaluation import (
    adaptive_calibration_error,
    area_under_risk_coverage,
    disagreement,
    ensemble_log_probs,
    expected_calibration_error,
    ood_detection,
)

# Both sides are sums of a few hundred float64 terms of order 1.
EXACT = {"rel": 1e-12, "abs": 1e-13}
SURE = np.log([0.9, 0.8, 0.7, 0.6])


def draw(seed=0, n=300, classes=7):
    generator = np.random.default_rng(seed)
    log_probs = log_softmax(generator.normal(0, 2, (n, classes)), axis=1)
    return log_probs, generator.integers(0, classes, n)


def of_two(top) -> np.ndarray:
    """Predictions of two classes that name class 0 with these probabilities."""
    return np.log(np.stack([np.asarray(top), 1 - np.asarray(top)], axis=1))


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_adaptive_error_equals_scikit_learns_bins(bins):
    log_probs, labels = draw()  # 300 images, no ties: bins of as many images each
    correct, sure = log_probs.argmax(1) == labels, np.exp(log_probs.max(1))
    right, mean = calibration_curve(correct, sure, n_bins=bins, strategy="quantile")
    expected = np.abs(right - mean).mean()
    assert adaptive_calibration_error(log_probs, labels, bins) == pytest.approx(expected, **EXACT)


def test_adaptive_error_by_hand():
    # By rank: 0.55 and 0.6, both wrong; 0.7 wrong and 0.8 right; 0.9 right.
    log_probs, labels = of_two([0.9, 0.6, 0.8, 0.55, 0.7]), [0, 1, 0, 1, 1]
    expected = (abs(0 - 1.15) + abs(1 - 1.5) + abs(1 - 0.9)) / 5
    assert adaptive_calibration_error(log_probs, labels, 3) == pytest.approx(expected, **EXACT)
    # Fewer images than bins: each alone.
    alone = (0.1 + 0.6 + 0.2 + 0.55 + 0.7) / 5
    assert adaptive_calibration_error(log_probs, labels, 15) == pytest.approx(alone, **EXACT)


def test_adaptive_error_of_ties_is_the_same_in_any_order():
    log_probs = of_two([0.75] * 4 + [0.9] * 2)
    labels = np.array([0, 0, 0, 1, 0, 1])
    # Of the tied, 3/4 and 1/2 are right, in whichever of the two bins of three they are.
    expected = (3 * abs(0.75 - 0.75) + abs(0.75 + 0.5 + 0.5 - 0.75 - 1.8)) / 6
    for order in itertools.permutations(range(6)):
        found = adaptive_calibration_error(log_probs[list(order)], labels[list(order)], 2)
        assert found == pytest.approx(expected, **EXACT)


def test_adaptive_error_where_all_are_in_one_wide_bin():
    # ECE's bins of width 1/2 hide that the less sure are always wrong, the others right.
    log_probs, labels = of_two([0.6, 0.6, 0.9, 0.9]), [1, 1, 0, 0]
    assert expected_calibration_error(log_probs, labels, 2) == pytest.approx(0.25, **EXACT)
    assert adaptive_calibration_error(log_probs, labels, 2) == pytest.approx(0.35, **EXACT)


def test_risk_coverage_equals_scikit_learns_precision():
    log_probs, labels = draw(1)
    log_probs[:100] = log_probs[100:200]  # ties, right and wrong
    correct, sure = log_probs.argmax(1) == labels, np.exp(log_probs.max(1))
    precision, _, thresholds = precision_recall_curve(correct, sure)
    risks = 1 - precision[np.searchsorted(thresholds, sure)]
    found = area_under_risk_coverage(log_probs, labels)
    assert found == pytest.approx(risks.mean(), **EXACT)


def test_risk_coverage_by_hand():
    log_probs = of_two(np.exp(SURE))
    # Wrong on the least sure, and on the surest.
    assert area_under_risk_coverage(log_probs, [0, 0, 0, 1]) == pytest.approx(1 / 16, **EXACT)
    expected = (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4
    assert area_under_risk_coverage(log_probs, [1, 0, 0, 0]) == pytest.approx(expected, **EXACT)
    # Of two that are as sure one can't be kept without the other.
    tied = of_two([0.9, 0.8, 0.8, 0.6])
    for labels in ([0, 1, 0, 0], [0, 0, 1, 0]):
        expected = (0 + 1 / 3 + 1 / 3 + 1 / 4) / 4
        assert area_under_risk_coverage(tied, labels) == pytest.approx(expected, **EXACT)


def test_risk_coverage_at_its_bounds():
    log_probs, _ = draw(2)
    right = log_probs.argmax(1)
    assert area_under_risk_coverage(log_probs, right) == 0
    assert area_under_risk_coverage(log_probs, (right + 1) % 7) == 1
    # All as sure: the share of errors, whatever the order.
    flat = of_two([0.7] * 10)
    labels = [1, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert area_under_risk_coverage(flat, labels) == pytest.approx(0.3, **EXACT)


def test_adaptive_error_where_every_answer_is_right():
    log_probs, _ = draw(3)
    right = log_probs.argmax(1)
    expected = 1 - np.exp(log_probs.max(1)).mean()
    assert adaptive_calibration_error(log_probs, right) == pytest.approx(expected, **EXACT)
    sure = np.array([[0.0, -1000.0], [-1000.0, 0.0]])
    assert adaptive_calibration_error(sure, [0, 1]) == 0


def test_disagreement_is_the_mean_over_pairs():
    members = np.stack([draw(seed, 200)[0] for seed in range(4)])
    tops = members.argmax(2)
    pairs = [zero_one_loss(a, b) for a, b in itertools.combinations(tops, 2)]
    assert disagreement(members) == pytest.approx(np.mean(pairs), **EXACT)


def test_disagreement_by_hand():
    a, b = of_two([0.9, 0.9, 0.9, 0.9]), of_two([0.1, 0.9, 0.9, 0.9])
    assert disagreement([a, b]) == 0.25
    # Pairs: 1/4, 1/4 and 0.
    assert disagreement([a, b, b]) == pytest.approx(1 / 6, **EXACT)
    assert disagreement([a, a]) == 0
    assert disagreement([a]) is None


def test_detection_equals_scipys_rank_test_and_scikit_learns_other_curve():
    own, others = draw(4)[0], draw(5, 170)[0] * 0.5
    own, others = (log_softmax(array, axis=1) for array in (own, others))
    found = ood_detection(own, others)
    rank = mannwhitneyu(own.max(1), others.max(1)).statistic / (300 * 170)
    assert found["auroc"] == pytest.approx(rank, **EXACT)
    scores = np.concatenate([own.max(1), others.max(1)])
    false, missed, _ = det_curve(np.arange(470) < 300, scores)
    assert found["fpr95"] == pytest.approx(false[missed <= 0.05].min(), **EXACT)
    assert 0.5 < found["auroc"] < 1


def test_detection_by_hand():
    # Of 20 of its own, 19 are at least as sure as 0.71; of five others two are.
    own = of_two([0.6, *np.linspace(0.71, 0.99, 19)])
    others = of_two([0.55, 0.6, 0.7, 0.71, 0.995])
    found = ood_detection(own, others)
    assert found["fpr95"] == 2 / 5
    # Pairs won by the own: those against 0.55: 20, 0.6: 19 and a tie, 0.7: 19, 0.71: 18 and a tie.
    assert found["auroc"] == pytest.approx((20 + 19.5 + 19 + 18.5 + 0) / 100, **EXACT)


def test_detection_of_what_is_alike_and_of_what_is_apart():
    own, others = of_two([0.9, 0.95]), of_two([0.6, 0.7, 0.8])
    assert ood_detection(own, others) == {"auroc": 1, "fpr95": 0}
    assert ood_detection(others, own) == {"auroc": 0, "fpr95": 1}
    assert ood_detection(own, own)["auroc"] == 0.5
    same = of_two([0.7] * 4)
    assert ood_detection(same, same[:2]) == {"auroc": 0.5, "fpr95": 1}
    # As sure as double precision can tell only by logarithms.
    close = np.array([[-1e-30, -69.0], [-1e-20, -46.0]])
    assert ood_detection(close[:1], close[1:])["auroc"] == 1


def test_an_ensembles_confidence_is_that_of_the_mean():
    a, b = of_two([0.9, 0.9]), of_two([0.1, 0.9])
    mean = ensemble_log_probs([a, b])
    assert ood_detection(mean[1:], mean[:1]) == {"auroc": 1, "fpr95": 0}


@pytest.mark.parametrize("metric", [adaptive_calibration_error, area_under_risk_coverage])
@pytest.mark.parametrize(("shape", "labels"), [((3, 2), [0, 1]), ((0, 2), []), ((2, 2), [0, 2])])
def test_bad_labels_and_shapes_are_refused(metric, shape, labels):
    with pytest.raises(ValueError, match="Received: "):
        metric(np.zeros(shape), labels)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"Received: shape=\(3, 2\)"):
        disagreement(np.zeros((3, 2)))
    for shape in ((3, 3), (0, 2), (3,)):
        with pytest.raises(ValueError, match="Received: shapes="):
            ood_detection(np.zeros((3, 2)), np.zeros(shape))
