"""Forecasts against plain loops over images and resamples."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from bridge_tf.evaluation import fit_temperature
from bridge_tf.evaluation.forecast import forecast
from bridge_tf.report.forecast import render_forecast
from tests.evaluation.test_bootstrap import predictions

CLASSES = 4


def two_modes(images: int, apart: float = 1.0):
    """Log-probabilities of two networks, and labels; `apart` is how much they disagree."""
    shared, labels = predictions(0, images, CLASSES, 2.5, 1)
    generator = np.random.default_rng(1)
    noises = (generator.normal(0, apart, shared.shape) for _ in range(2))
    return [log_softmax(2 * (shared + noise), axis=1) for noise in noises], labels


def mean_of(modes) -> np.ndarray:
    return np.log((np.exp(modes[0]) + np.exp(modes[1])) / 2)


def parts(images: int):
    order = np.random.default_rng(0).permutation(images)
    one, other = order[: (images + 1) // 2], order[(images + 1) // 2 :]
    return (one, other), (other, one)


def losses(log_probs, labels) -> np.ndarray:
    """The NLL of each image at the temperature of the other half, one by one."""
    found = np.zeros(len(labels))
    for half, other in parts(len(labels)):
        temperature = fit_temperature(log_probs[other], labels[other])
        for image in half:
            powers = np.exp(log_probs[image] / temperature)
            found[image] = -np.log(powers[labels[image]] / powers.sum())
    return found


def check_interval(ends, lead):
    generator = np.random.default_rng(0)
    means = [lead[generator.integers(len(lead), size=len(lead))].mean() for _ in range(1000)]
    assert ends == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=1e-9, abs=1e-12)


def test_the_gain_of_two_over_one():
    modes, labels = two_modes(81)
    found, both = forecast(modes, labels, 1.25), mean_of(modes)
    assert found["images"] == 81
    one = np.mean([losses(mode, labels) for mode in modes], axis=0)
    two = losses(both, labels)
    assert found["one"]["calibrated_nll"] == pytest.approx(one.mean(), rel=1e-9)
    assert found["two"]["calibrated_nll"] == pytest.approx(two.mean(), rel=1e-9)
    right = [accuracy_score(labels, mode.argmax(axis=1)) for mode in (*modes, both)]
    assert found["one"]["accuracy"] == pytest.approx((right[0] + right[1]) / 2, rel=1e-12)
    assert found["two"]["accuracy"] == pytest.approx(right[2], rel=1e-12)
    assert found["base"]["accuracy"] == pytest.approx(right[0], rel=1e-12)
    gains = found["two_over_one"]
    assert gains["gain"]["accuracy"] == pytest.approx(right[2] - (right[0] + right[1]) / 2)
    assert gains["gain"]["calibrated_nll"] == pytest.approx((one - two).mean(), rel=1e-9)
    check_interval(gains["interval"]["calibrated_nll"], one - two)
    hits = [(mode.argmax(axis=1) == labels).astype(float) for mode in (*modes, both)]
    check_interval(gains["interval"]["accuracy"], hits[2] - (hits[0] + hits[1]) / 2)


def test_the_gain_of_a_cascade():
    modes, labels = two_modes(80)
    found, both = forecast(modes, labels, 1.25), mean_of(modes)
    right, nll, goes_on = np.zeros(80), np.zeros(80), np.zeros(80)
    for half, other in parts(80):
        temperatures = [fit_temperature(x[other], labels[other]) for x in (modes[0], both)]

        def sure(image, temperature=temperatures[0]):
            return np.float32(np.exp(log_softmax(modes[0][image] / temperature).max()))

        # Of the forty others, ten may go on.
        threshold = sorted(sure(image) for image in other)[10]
        for image in half:
            goes_on[image] = sure(image) < threshold
            stage = int(goes_on[image])
            log_probs = (modes[0], both)[stage][image]
            powers = np.exp(log_softmax(log_probs / temperatures[stage]))
            right[image] = log_probs.argmax() == labels[image]
            nll[image] = log_loss([labels[image]], [powers], labels=range(CLASSES))
    assert 0 < goes_on.sum() < 80
    cascade, gains = found["cascade"], found["cascade_over_base"]
    assert cascade["relative_flops"] == pytest.approx(1 + goes_on.mean(), rel=1e-12)
    assert cascade["accuracy"] == pytest.approx(right.mean(), rel=1e-12)
    assert cascade["calibrated_nll"] == pytest.approx(nll.mean(), rel=1e-9)
    base = losses(modes[0], labels)
    assert gains["gain"]["calibrated_nll"] == pytest.approx((base - nll).mean(), rel=1e-8)
    check_interval(gains["interval"]["calibrated_nll"], base - nll)
    check_interval(gains["interval"]["accuracy"], right - (modes[0].argmax(axis=1) == labels))


def test_two_of_the_same_gain_nothing():
    (mode, _), labels = two_modes(60)
    found = forecast([mode, mode], labels, 1.25)
    for gains in (found["two_over_one"], found["cascade_over_base"]):
        for key in ("accuracy", "calibrated_nll"):
            assert gains["gain"][key] == pytest.approx(0, abs=1e-9)
            assert gains["interval"][key] == pytest.approx([0, 0], abs=1e-9)


def test_two_images_suffice():
    modes, labels = two_modes(2)
    assert np.isfinite(forecast(modes, labels, 1.25)["two"]["calibrated_nll"])


def text(low: float, high: float) -> str:
    modes, labels = two_modes(60)
    found = forecast(modes, labels, 1.25)
    found["two_over_one"]["interval"]["calibrated_nll"] = [low, high]
    return render_forecast(found | {"images": 1234})


def test_what_is_said():
    assert text(0.01, 0.02).startswith(
        "Two networks are measurably better than one on 1,234 validation images: going on is "
        "likely worth it"
    )
    chance = text(-0.01, 0.02)
    assert chance.startswith(
        "Two networks are not measurably better than one on 1,234 validation images; an ensemble, "
        "and bridges that imitate it, can't be expected to be"
    )
    assert "(-0.0100 … +0.0200)" in chance and "1.25 × on average" in chance
    assert "measurably worse" in text(-0.02, -0.01)
