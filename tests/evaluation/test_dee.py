import itertools

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from bridge_tf.evaluation import deep_ensemble_equivalent, fit_temperature
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.dee import measure_yardstick, subsets_of_modes

# Sizes 1 to 7 on CIFAR-10 (Yun et al., ICML 2023).
CIFAR10 = (0.2868, 0.2330, 0.2156, 0.2052, 0.1988, 0.1936, 0.1904)


@pytest.mark.parametrize("size", range(1, 8))
def test_deep_ensembles_equal_their_own_size(size):
    assert deep_ensemble_equivalent(CIFAR10[size - 1], CIFAR10) == (float(size), False)


@pytest.mark.parametrize(
    ("calibrated_nll", "expected", "extrapolated"),
    [
        ((0.2868 + 0.2330) / 2, 1.5, False),
        (0.2330 - 0.25 * (0.2330 - 0.2156), 2.25, False),
        (0.1904 - 2 * (0.1936 - 0.1904), 9.0, True),
        (0.2868 + 0.5 * (0.2868 - 0.2330), 0.5, True),
    ],
)
def test_linear_between_sizes_and_beyond_them(calibrated_nll, expected, extrapolated):
    result = deep_ensemble_equivalent(calibrated_nll, CIFAR10)
    # Differences of 0.003 between figures of 0.2 lose two of float64's sixteen digits.
    assert result == (pytest.approx(expected, rel=1e-12), extrapolated)


def test_sizes_that_are_no_better_than_a_smaller_one_are_left_out():
    yardstick = [0.5, 0.4, 0.45, 0.4, 0.2]
    # Sizes 3 and 4 are left out: from (2, 0.4) straight to (5, 0.2).
    assert deep_ensemble_equivalent(0.3, yardstick) == (pytest.approx(3.5, rel=1e-12), False)
    assert deep_ensemble_equivalent(0.45, yardstick) == (pytest.approx(1.5, rel=1e-12), False)
    assert deep_ensemble_equivalent(0.4, yardstick) == (2.0, False)


def test_worse_sizes_at_the_end_leave_the_best_as_the_last():
    assert deep_ensemble_equivalent(0.35, [0.5, 0.4, 0.42]) == (
        pytest.approx(2.5, rel=1e-12),
        True,
    )


@pytest.mark.parametrize("yardstick", [[0.3], [0.3, 0.3], [0.3, 0.4, 0.5]])
def test_fewer_than_two_usable_sizes(yardstick):
    assert deep_ensemble_equivalent(0.3, yardstick) == (1.0, False)
    assert deep_ensemble_equivalent(0.2, yardstick) == (None, False)
    assert deep_ensemble_equivalent(0.4, yardstick) == (None, False)


def test_no_yardstick():
    assert deep_ensemble_equivalent(0.3, []) == (None, False)


@pytest.mark.parametrize("seed", range(20))
def test_falls_strictly_as_the_calibrated_nll_rises(seed):
    generator = np.random.default_rng(seed)
    yardstick = [0.9, *generator.uniform(0.1, 0.8, 6)]
    rising = np.sort(generator.uniform(0, 1.2, 50))
    sizes = [deep_ensemble_equivalent(value, yardstick)[0] for value in rising]
    assert np.all(np.diff(sizes) < 0)
    flags = [deep_ensemble_equivalent(value, yardstick)[1] for value in rising]
    assert flags == [not min(yardstick) <= value <= 0.9 for value in rising]


def images_of(counts) -> list[np.ndarray]:
    """The images of each resample."""
    return [np.repeat(np.arange(len(row)), row.astype(int)) for row in counts]


def calibrated_nll(test, validation, labels) -> float:
    powers = test ** (1 / fit_temperature(np.log(validation), labels[1]))
    return log_loss(labels[0], powers / powers.sum(1, keepdims=True), labels=range(3))


def test_the_yardstick_against_a_loop_over_all_subsets():
    generator = np.random.default_rng(0)
    labels = [generator.integers(0, 3, n) for n in (50, 40)]
    modes = [[log_softmax(generator.normal(0, 2, (len(x), 3)), 1) for x in labels] for _ in "1234"]
    resamples = Resamples(labels, 5)
    found, resampled = measure_yardstick(modes, resamples)
    assert [size["size"] for size in found] == [1, 2, 3, 4]
    assert [size["subsets"] for size in found] == [4, 6, 4, 1]
    for size in found:
        values, of_resamples = [], []
        for subset in itertools.combinations(range(4), size["size"]):
            test, validation = (
                np.mean([np.exp(modes[k][split]) for k in subset], axis=0) for split in (0, 1)
            )
            values.append(calibrated_nll(test, validation, labels))
            of_resamples.append(
                [
                    calibrated_nll(test[i], validation[j], (labels[0][i], labels[1][j]))
                    for i, j in zip(*map(images_of, resamples.counts), strict=True)
                ]
            )
        # Rounding moves a minimum by the root of float64's precision.
        assert size["calibrated_nll"] == pytest.approx(np.mean(values), rel=1e-8)
        # The minimum is known to 1e-6 of log T, at which the test NLL isn't flat.
        expected = np.mean(of_resamples, axis=0)
        np.testing.assert_allclose(resampled[size["size"] - 1], expected, rtol=1e-6)
        low, high = np.percentile(expected, [2.5, 97.5])
        assert size["interval"] == [pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6)]


def test_subsets_are_all_or_a_hundred_different_ones():
    assert subsets_of_modes(5, 2) == list(itertools.combinations(range(5), 2))
    drawn = subsets_of_modes(12, 4)
    assert len(set(drawn)) == 100 and drawn == subsets_of_modes(12, 4)
    assert set(drawn) < set(itertools.combinations(range(12), 4))
    # Each mode is in a third of them: 33 of 100, standard deviation 4.5.
    assert all(15 < sum(k in subset for subset in drawn) < 52 for k in range(12))
