"""Paired bootstrap over images (Efron and Tibshirani, 1993): what chance makes of figures.

A resample draws as many test images as there are, with replacement, and as many validation images,
on which the temperature is fitted again. All predictors see the same resamples, so that differences
between them are paired. A resample is how often it holds each image: the mean of anything over a
thousand resamples is one product of matrices.

Mean NLL is a smooth function of log T. For each predictor it is interpolated by polynomials through
Chebyshev points, for all resamples at once, which makes a thousand temperatures as fast as one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev

from bridge_tf.evaluation.calibration import TEMPERATURES, prior_penalty

RESAMPLES = 1000
_LEVEL = 95  # per cent
_WIDTH = 0.25  # of log T on each side, in which most resamples' temperatures are
_HALVINGS = 40


class Resamples:
    """Resamples of the test and the validation images, the same for everything that is compared.

    Args:
        labels: N of the test and N of the validation images.
        number: of resamples.
        seed: of what is drawn.

    Attributes:
        counts: how often a resample holds each test image, and each validation image; number×N.
    """

    def __init__(self, labels: Sequence[np.ndarray], number: int = RESAMPLES, seed: int = 0):
        generator = np.random.default_rng(seed)
        self.labels = labels
        self.counts = [drawn(generator, number, len(split)) for split in labels]

    def accuracy(self, test_log_probs: np.ndarray) -> np.ndarray:
        """The accuracy in each resample, from log-probabilities N×classes."""
        counts, labels = self.counts[0], self.labels[0]
        return counts @ (test_log_probs.argmax(axis=1) == labels) / len(labels)

    def temperatures(self, validation_log_probs: np.ndarray, near: float = 1.0) -> np.ndarray:
        """`fit_temperature` of each resample of the validation images, from N×classes.

        `near` is the temperature of all images, where the search begins.
        """
        lowest, highest = np.log(TEMPERATURES)
        images, width = len(self.labels[1]), _WIDTH
        while True:
            low, high = max(np.log(near) - width, lowest), min(np.log(near) + width, highest)
            values = self._interpolated(1, validation_log_probs, low, high)
            penalty = prior_penalty(_points(low, high), images)
            slope = chebyshev.chebder(values + _coefficients(penalty)[:, None])
            places = _roots(slope)
            inside = np.abs(places).max() < 1 - 1e-6
            if inside or (low, high) == (lowest, highest):
                return np.exp((low + high + places * (high - low)) / 2)
            width *= 2

    def calibrated_nll(
        self, test_log_probs: np.ndarray, temperatures: np.ndarray, only=1.0
    ) -> np.ndarray:
        """The mean NLL of each resample of the test images at its temperature, nats.

        `only` tells which images count, N; the others' NLL is 0.
        """
        log_t = np.log(temperatures)
        low, high = log_t.min() - 1e-3, log_t.max() + 1e-3
        values = self._interpolated(0, test_log_probs, low, high, only)
        return chebyshev.chebval((2 * log_t - low - high) / (high - low), values, tensor=False)

    def figures(self, test, validation, near: float) -> dict[str, np.ndarray]:
        """The figures of a predictor in each resample: "accuracy", "calibrated_nll".

        Args:
            test, validation: its log-probabilities, N×classes.
            near: the temperature that was fitted on all validation images.
        """
        temperatures = self.temperatures(validation, near)
        return {
            "accuracy": self.accuracy(test),
            "calibrated_nll": self.calibrated_nll(test, temperatures),
        }

    def cascade_figures(self, stages: Sequence[tuple], goes_on: np.ndarray) -> dict:
        """`figures` of a cascade, whose stages have a temperature each.

        Args:
            stages: test, validation and near of the first stage and of the second, as for
                `figures`.
            goes_on: N, whether the second stage predicts a test image. It is the same in all
                resamples: the threshold isn't chosen again.
        """
        final = np.where(goes_on[:, None], stages[1][0], stages[0][0])
        nll = 0.0
        for (test, validation, near), only in zip(stages, (~goes_on, goes_on), strict=True):
            nll += self.calibrated_nll(test, self.temperatures(validation, near), only)
        return {"accuracy": self.accuracy(final), "calibrated_nll": nll}

    def _interpolated(self, split: int, log_probs, low: float, high: float, only=1.0) -> np.ndarray:
        """Chebyshev coefficients of each resample's mean NLL over log T in [low, high]."""
        labels, counts = self.labels[split], self.counts[split]
        gaps = log_probs - log_probs.max(axis=1, keepdims=True)
        of_label = gaps[np.arange(len(labels)), labels]
        columns = []
        for temperature in np.exp(_points(low, high)):
            normalizer = np.log(np.exp(gaps / temperature).sum(axis=1))
            columns.append((normalizer - of_label / temperature) * only)
        return _coefficients(np.stack(columns) @ counts.T / len(labels))


def interval(values: np.ndarray) -> list[float] | None:
    """The 95 % percentile interval of a figure in each resample.

    NaN, where the figure isn't defined, counts as anything; None if an end is such.
    """
    ends = []
    for unknown, percent in ((-np.inf, (100 - _LEVEL) / 2), (np.inf, (100 + _LEVEL) / 2)):
        with np.errstate(invalid="ignore"):  # between two infinite values
            ends.append(float(np.percentile(np.where(np.isnan(values), unknown, values), percent)))
    return ends if np.isfinite(ends).all() else None


def drawn(generator: np.random.Generator, number: int, items: int) -> np.ndarray:
    """How often each resample, of as many as there are, holds each item; number×items."""
    counts = np.empty((number, items))
    for row in counts:
        row[:] = np.bincount(generator.integers(items, size=items), minlength=items)
    return counts


def _points(low: float, high: float) -> np.ndarray:
    """Chebyshev points of [low, high], so many that log T is right to 1e-6."""
    number = 12 + int(12 * (high - low))
    return (low + high + chebyshev.chebpts1(number) * (high - low)) / 2


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients of polynomials through values at the points, along the first axis."""
    number = len(values)
    return np.linalg.solve(chebyshev.chebvander(chebyshev.chebpts1(number), number - 1), values)


def _roots(slope: np.ndarray) -> np.ndarray:
    """For each column of Chebyshev coefficients of a slope, the minimum in [-1, 1]."""
    left, right = np.full((2, slope.shape[1]), [[-1.0], [1.0]])
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        rises = chebyshev.chebval(middle, slope, tensor=False) > 0
        left, right = np.where(rises, left, middle), np.where(rises, middle, right)
    return (left + right) / 2
