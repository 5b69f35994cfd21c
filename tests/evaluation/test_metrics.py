import warnings

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from bridge_tf.evaluation import (
    accuracy,
    agreement,
    brier,
    ensemble_log_probs,
    expected_calibration_error,
    kl_divergence,
    nll,
)

# Both sides are sums of a few hundred float64 terms of order 1.
EXACT = {"rel": 1e-12, "abs": 1e-13}


def draw(seed=0, n=300, classes=7):
    generator = np.random.default_rng(seed)
    log_probs = scipy.special.log_softmax(generator.normal(0, 2, (n, classes)), axis=1)
    return log_probs, generator.integers(0, classes, n)


@pytest.mark.parametrize("members", [1, 4])
def test_ensemble_is_log_of_mean_probability(members):
    log_probs = np.stack([draw(seed)[0] for seed in range(members)])
    result = ensemble_log_probs(log_probs)
    np.testing.assert_allclose(result, np.log(np.exp(log_probs).mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(scipy.special.logsumexp(result, axis=1), 0, atol=1e-12)


def test_ensemble_computes_in_double_precision():
    assert ensemble_log_probs(np.float32([[[0.0, -100.0]]])).dtype == np.float64


def test_metrics_equal_scikit_learn():
    log_probs, labels = draw()
    probs = np.exp(log_probs)
    assert accuracy(log_probs, labels) == sklearn.metrics.accuracy_score(labels, probs.argmax(1))
    expected = sklearn.metrics.log_loss(labels, probs, labels=range(7))
    assert nll(log_probs, labels) == pytest.approx(expected, **EXACT)


def test_brier_by_hand():
    log_probs = np.log([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    # 0.3² + 0.2² + 0.1² = 0.14 and 0.75² + 0.25² + 0.5² = 0.875
    assert brier(log_probs, [0, 0]) == pytest.approx((0.14 + 0.875) / 2, **EXACT)


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_error_equals_plain_loop(bins):
    log_probs, labels = draw(1)
    probs = np.exp(log_probs)
    expected = 0.0
    for k in range(bins):
        inside = [i for i in range(len(labels)) if k / bins < probs[i].max() <= (k + 1) / bins]
        if inside:
            right = sum(probs[i].argmax() == labels[i] for i in inside) / len(inside)
            sure = sum(probs[i].max() for i in inside) / len(inside)
            expected += len(inside) / len(labels) * abs(right - sure)
    result = expected_calibration_error(log_probs, labels, bins=bins)
    assert result == pytest.approx(expected, **EXACT)


def test_kl_equals_scipy_and_is_zero_for_itself():
    (log_p, _), (log_q, _) = draw(2), draw(3)
    expected = scipy.stats.entropy(np.exp(log_p), np.exp(log_q), axis=1).mean()
    assert kl_divergence(log_p, log_q) == pytest.approx(expected, **EXACT)
    assert kl_divergence(log_p, log_p) == 0


def test_agreement_is_share_of_equal_top_classes():
    log_p = np.log([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8]])
    assert agreement(log_p, log_p[:, ::-1]) == 0
    assert agreement(log_p, log_p[[0, 1, 1, 3]]) == 0.75


def test_log_domain_is_safe_where_probabilities_underflow():
    sure = np.array([[0.0, -1000.0], [-1000.0, 0.0]])
    assert nll(sure, [1, 1]) == 500
    assert brier(sure, [1, 1]) == 1
    assert expected_calibration_error(sure, [0, 1]) == 0
    # Two members that each rule out what the other is sure of: a half each.
    np.testing.assert_allclose(ensemble_log_probs([sure, sure[::-1]]), np.log(0.5), rtol=1e-15)
    np.testing.assert_array_equal(ensemble_log_probs([sure, sure]), sure)
    assert kl_divergence(sure, sure) == 0
    assert kl_divergence(sure, sure[::-1]) == 1000


def test_zero_probabilities_give_no_warning_and_no_nan():
    zero = np.array([[0.0, -np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kl_divergence(zero, zero) == 0
        assert kl_divergence(zero, np.log([[0.5, 0.5]])) == pytest.approx(np.log(2), **EXACT)
        assert kl_divergence(np.log([[0.5, 0.5]]), zero) == np.inf


@pytest.mark.parametrize("metric", [accuracy, nll, brier, expected_calibration_error])
@pytest.mark.parametrize(
    ("shape", "labels"), [((3, 2), [0, 1]), ((3,), [0, 1, 1]), ((2, 2), [0, 2]), ((2, 2), [-1, 0])]
)
def test_bad_labels_and_shapes_are_refused(metric, shape, labels):
    with pytest.raises(ValueError, match="Received: "):
        metric(np.zeros(shape), labels)


@pytest.mark.parametrize("metric", [kl_divergence, agreement])
@pytest.mark.parametrize("shape", [(1, 2), (3, 4), (3,)])
def test_pairs_of_unequal_shape_are_refused(metric, shape):
    with pytest.raises(ValueError, match="Received: "):
        metric(np.zeros((3, 2)), np.zeros(shape))


def test_ensemble_refuses_other_than_three_axes():
    with pytest.raises(ValueError, match=r"Received: shape=\(3, 2\)"):
        ensemble_log_probs(np.zeros((3, 2)))
