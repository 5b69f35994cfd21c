"""Resampled figures against plain loops over resamples, and intervals against SciPy's bootstrap."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from bridge_tf.evaluation import fit_temperature
from bridge_tf.evaluation.bootstrap import Resamples, interval
from tests.evaluation.scipy_bootstrap import bootstrap
from tests.evaluation.test_dee import images_of


def predictions(seed: int, images: int, classes: int, lead: float, scale: float):
    """Log-probabilities N×classes, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = generator.normal(0, scale, (images, classes))
    logits[np.arange(images), labels] += lead
    return log_softmax(logits, axis=1), labels


# Images, classes, lead and scale: all right; 9 of 60 wrong; T at 20; T at 0.35; many classes; and
# so nearly perfect that the prior alone decides.
@pytest.mark.parametrize(
    ("images", "classes", "lead", "scale"),
    [
        *((200, 10, 20, 4), (60, 10, 6, 2), (2000, 3, 1, 5), (400, 10, 3, 0.2)),
        *((300, 1000, 12, 4), (100, 2, 30, 1)),
    ],
)
def test_temperatures_and_figures_of_each_resample_against_a_loop(images, classes, lead, scale):
    test, test_labels = predictions(0, 150, classes, lead, scale)
    validation, labels = predictions(1, images, classes, lead, scale)
    resamples = Resamples((test_labels, labels), 20)
    near = fit_temperature(validation, labels)
    temperatures = resamples.temperatures(validation, near)
    figures = resamples.figures(test, validation, near)
    drawn = zip(*map(images_of, resamples.counts), strict=True)
    for k, (of_test, of_validation) in enumerate(drawn):
        assert len(of_test) == 150 and len(of_validation) == images
        fitted = fit_temperature(validation[of_validation], labels[of_validation])
        # `fit_temperature` stops at 1e-6.
        assert np.log(temperatures[k]) == pytest.approx(np.log(fitted), abs=1e-6)
        scaled = log_softmax(test[of_test] / temperatures[k], axis=1)
        expected = -scaled[np.arange(150), test_labels[of_test]].mean()
        assert figures["calibrated_nll"][k] == pytest.approx(expected, rel=1e-10, abs=1e-14)
        expected = accuracy_score(test_labels[of_test], test[of_test].argmax(axis=1))
        assert figures["accuracy"][k] == pytest.approx(expected, abs=1e-14)


def test_a_cascade_against_a_loop():
    stages, labels = [], []
    for seed, (images, lead) in enumerate(((150, 2), (80, 2), (150, 4), (80, 4))):
        log_probs, truth = predictions(seed % 2, images, 5, lead, 1 + seed)
        stages.append(log_probs)
        labels.append(truth)
    pairs = [stages[:2], stages[2:]]
    resamples = Resamples(labels[:2], 20)
    goes_on = np.arange(150) % 3 == 0
    near = [fit_temperature(pair[1], labels[1]) for pair in pairs]
    of_stages = [(*pair, t) for pair, t in zip(pairs, near, strict=True)]
    figures = resamples.cascade_figures(of_stages, goes_on)
    for k, (i, j) in enumerate(zip(*map(images_of, resamples.counts), strict=True)):
        fitted = [fit_temperature(pair[1][j], labels[1][j]) for pair in pairs]
        scaled = [log_softmax(pair[0] / t, axis=1) for pair, t in zip(pairs, fitted, strict=True)]
        loss = [-scaled[int(goes_on[image])][image, labels[0][image]] for image in i]
        # Each temperature is known to 1e-6.
        assert figures["calibrated_nll"][k] == pytest.approx(np.mean(loss), rel=1e-6)
        right = [pairs[int(goes_on[image])][0][image].argmax() == labels[0][image] for image in i]
        assert figures["accuracy"][k] == pytest.approx(np.mean(right), abs=1e-14)


def test_the_search_finds_temperatures_far_from_where_it_begins():
    validation, labels = predictions(1, 200, 10, 6, 2)
    resamples = Resamples((labels, labels), 10)
    near = resamples.temperatures(validation, fit_temperature(validation, labels))
    np.testing.assert_allclose(resamples.temperatures(validation, 50.0), near, rtol=1e-6)


def test_an_interval_of_a_difference_is_that_of_scipy():
    one, labels = predictions(2, 400, 5, 2, 1)
    other = log_softmax(one + np.random.default_rng(3).normal(0, 1, one.shape), axis=1)
    losses = [-x[np.arange(400), labels] for x in (one, other)]
    expected = bootstrap(losses, lambda x, y, axis: (x - y).mean(axis), paired=True)
    resamples = Resamples((labels, labels), 20_000)
    ones = np.ones(20_000)
    differences = resamples.calibrated_nll(one, ones) - resamples.calibrated_nll(other, ones)
    assert differences.mean() == pytest.approx(
        log_loss(labels, np.exp(one)) - log_loss(labels, np.exp(other)),
        abs=4 * expected.standard_error / np.sqrt(20_000),
    )
    # An end's standard error is 2.7 of these (density of a normal at its 2.5 % point).
    chance = 4 * np.sqrt(2) * 2.7 * expected.standard_error / np.sqrt(20_000)
    assert interval(differences) == [
        pytest.approx(end, abs=chance) for end in expected.confidence_interval
    ]


def test_resamples_are_drawn_uniformly_and_again_by_the_same_seed():
    labels = np.zeros(50, int), np.zeros(30, int)
    resamples = Resamples(labels, 4000)
    for counts, images in zip(resamples.counts, (50, 30), strict=True):
        assert counts.shape == (4000, images) and np.all(counts.sum(axis=1) == images)
        # A count's variance is 1 - 1/N.
        assert np.all(np.abs(counts.mean(axis=0) - 1) < 5 / np.sqrt(4000))
        assert counts.var() == pytest.approx(1 - 1 / images, rel=0.02)
    again = Resamples(labels, 4000).counts
    assert all(np.array_equal(*pair) for pair in zip(again, resamples.counts, strict=True))
    assert not np.array_equal(Resamples(labels, 4000, seed=1).counts[0], again[0])


def test_an_interval_with_undefined_figures():
    values = np.arange(1000.0)
    assert interval(values) == pytest.approx(np.percentile(values, [2.5, 97.5]))
    few = np.where(values < 5, np.nan, values)
    # They count as the lowest below, and as the highest above.
    assert interval(few) == pytest.approx([24.975, 979.025])
    assert interval(np.where(values < 40, np.nan, values)) is None
