import numpy as np
import pytest
from scipy.special import log_softmax

from bridge_tf.evaluation import (
    accuracy,
    adaptive_calibration_error,
    apply_temperature,
    area_under_risk_coverage,
    brier,
    expected_calibration_error,
    fit_temperature,
    nll,
    score,
)
from bridge_tf.evaluation.calibration import calibration_harms


def draw(temperature, n, seed=0):
    """Predictions whose labels were drawn from softmax(log p / temperature)."""
    generator = np.random.default_rng(seed)
    log_probs = log_softmax(generator.normal(0, 3, (n, 5)), axis=1)
    truth = np.exp(apply_temperature(log_probs, temperature))
    labels = (truth.cumsum(axis=1) < generator.uniform(size=(n, 1))).sum(axis=1)
    return log_probs, np.minimum(labels, 4)


def test_apply_by_hand():
    # p ∝ (0.8, 0.2) to the power 1/2 is (2, 1) / 3.
    result = apply_temperature(np.log([[0.8, 0.2]]), 2.0)
    np.testing.assert_allclose(np.exp(result), [[2 / 3, 1 / 3]], rtol=1e-14)


def test_apply_of_one_changes_nothing():
    log_probs, _ = draw(1.0, 20)
    np.testing.assert_allclose(apply_temperature(log_probs, 1.0), log_probs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_fit_finds_the_temperature_of_the_labels(temperature):
    # The estimate's standard error with 20,000 images is about 1 %.
    fitted = fit_temperature(*draw(temperature, 20_000))
    assert fitted == pytest.approx(temperature, rel=0.04)


@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_fit_equals_grid_search(temperature):
    log_probs, labels = draw(temperature, 400, seed=1)
    grid = np.linspace(np.log(0.01), np.log(100), 4001)

    def posterior(log_t):
        likelihood = 400 * nll(apply_temperature(log_probs, np.exp(log_t)), labels)
        return likelihood + (log_t / 0.5) ** 2 / 2

    losses = [posterior(log_t) for log_t in grid]
    fitted = fit_temperature(log_probs, labels)
    # Within a step of the grid, and no worse than its best point.
    assert fitted == pytest.approx(np.exp(grid[np.argmin(losses)]), rel=0.0024)
    assert posterior(np.log(fitted)) <= min(losses) + 1e-9


def test_the_prior_hardly_counts_on_thousands_of_images():
    log_probs, labels = draw(1.5, 5000, seed=4)
    grid = np.linspace(np.log(1.2), np.log(1.8), 4001)
    losses = [nll(apply_temperature(log_probs, np.exp(log_t)), labels) for log_t in grid]
    likeliest = np.exp(grid[np.argmin(losses)])
    assert fit_temperature(log_probs, labels) == pytest.approx(likeliest, rel=2e-3)


def test_few_images_move_the_temperature_little():
    right, wrong = np.log([[0.9, 0.1], [0.4, 0.6]]), [1, 0]
    assert 0.8 < fit_temperature(right, [0, 1]) < 1
    assert 1 < fit_temperature(right, wrong) < 2.7
    # A hundred sure hits and one narrow miss; alone, the likelihood asks for less than 0.2.
    log_probs = np.log([[0.95, 0.05]] * 100 + [[0.501, 0.499]])
    fitted = fit_temperature(log_probs, [0] * 100 + [1])
    assert 0.5 < fitted < 1
    assert nll(apply_temperature(log_probs, 0.2), [0] * 100 + [1]) < nll(
        apply_temperature(log_probs, fitted), [0] * 100 + [1]
    )


def test_extreme_log_probabilities_give_finite_results():
    log_probs = np.array([[0.0, -1000.0], [0.0, -1000.0], [-1000.0, 0.0]])
    fitted = fit_temperature(log_probs, [0, 1, 1])
    assert 0.01 <= fitted <= 100
    assert np.isfinite(nll(apply_temperature(log_probs, fitted), [0, 1, 1]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="Received: temperature="):
        apply_temperature(np.zeros((1, 2)), temperature)


def test_fit_refuses_wrong_shapes():
    with pytest.raises(ValueError, match="Received: "):
        fit_temperature(np.zeros((3, 2)), [0])


def test_harm_is_told_from_chance():
    log_probs, labels = draw(1.0, 500, seed=6)
    assert not calibration_harms(log_probs, labels, 1.0)
    assert not calibration_harms(log_probs, labels, 1.02)
    assert calibration_harms(log_probs, labels, 0.3)
    assert not calibration_harms(log_probs[:3], labels[:3], 0.9)


def test_score_fits_on_validation_and_measures_on_test():
    test, validation = draw(2.0, 500, seed=2), draw(2.0, 500, seed=3)
    temperature = fit_temperature(*validation)
    calibrated = apply_temperature(test[0], temperature)
    expected = {
        "accuracy": accuracy(*test),
        "nll": nll(*test),
        "brier": brier(*test),
        "ece": expected_calibration_error(*test),
        "adaptive_ece": adaptive_calibration_error(*test),
        "aurc": area_under_risk_coverage(*test),
        "temperature": temperature,
        "calibrated_nll": nll(calibrated, test[1]),
        "calibrated_brier": brier(calibrated, test[1]),
        "calibrated_ece": expected_calibration_error(calibrated, test[1]),
        "calibrated_adaptive_ece": adaptive_calibration_error(calibrated, test[1]),
        "temperature_ml": fit_temperature(*validation, prior=False),
    }
    result = score(*test, *validation)
    assert result == expected
    assert all(type(value) is float for value in result.values())
    assert result["calibrated_nll"] < result["nll"]
    assert accuracy(calibrated, test[1]) == result["accuracy"]
    # It is the minimum of the NLL alone; with 2,000 images it isn't told.
    near = [
        nll(apply_temperature(validation[0], factor * result["temperature_ml"]), validation[1])
        for factor in (0.99, 1, 1.01)
    ]
    assert near[1] == min(near)
    assert "temperature_ml" not in score(*test, *draw(2.0, 2000, seed=4))
