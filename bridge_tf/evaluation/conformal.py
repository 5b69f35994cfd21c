"""Prediction sets by split conformal prediction: RAPS without randomization.

Regularized adaptive prediction sets (Angelopoulos et al., ICLR 2021, algorithms 2 and 3; without
the penalty those of Romano et al., NeurIPS 2020), with the random number U at 0. The score of a
class is the sum of the probabilities of all classes that are more probable, plus a penalty for each
place of its rank after `k_reg`. A set holds the classes whose score is at most a quantile of the
scores of validation images' labels. So the most probable class, whose score is 0, is always in it,
and equally probable classes are in it together.

If validation and test images are exchangeable, the true class is in the set with at least the
wanted probability (Vovk et al., 2005), on average over both. Without randomization that is
conservative: a model that is right more often than wanted gives sets of one class.

`k_reg` and `penalty` are fixed, so that all validation images serve the quantile.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bridge_tf.utils.errors import InputError

K_REG, PENALTY = 5, 0.01
# Coverages that every report has, as far as there are validation images enough.
COVERAGES = (0.9, 0.95, 0.97, 0.99)
# Digits of a quantile, which is rounded up: float32 rounding must not exclude the images it is of.
_DIGITS = 6
# The relative error of products like (n + 1) · 0.9.
_NOISE = 1e-9


@dataclasses.dataclass(frozen=True)
class PredictionSets:
    """A rule from probabilities to sets of classes; `fit_sets` makes it.

    Args:
        coverage: the wanted share of images whose set holds the true class, in (0, 1).
        quantile: the highest score of a class in a set, at least 0.
        images: the number of validation images that the quantile is of.
        k_reg: the highest rank without a penalty, from 1 on.
        penalty: λ of each further rank, at least 0.
    """

    coverage: float
    quantile: float
    images: int
    k_reg: int = K_REG
    penalty: float = PENALTY

    def predict(self, probabilities) -> np.ndarray:
        """Which classes are in the set of each image, N×classes, bool.

        `probabilities` are N×classes; they are taken as float32, as exported files have them.
        """
        scores = set_scores(probabilities, self.k_reg, self.penalty)
        return scores <= np.float32(self.quantile)


def set_scores(probabilities, k_reg: int = K_REG, penalty: float = PENALTY) -> np.ndarray:
    """The score of each class, N×classes, float32, from probabilities N×classes."""
    given = np.asarray(probabilities, "float32")
    order = np.argsort(-given, axis=1, kind="stable")
    ranked = np.take_along_axis(given, order, axis=1)
    before = np.cumsum(ranked, axis=1, dtype="float32")[:, :-1]
    before = np.concatenate([np.zeros_like(ranked[:, :1]), before], axis=1)
    by_rank = before + penalties(given.shape[1], k_reg, penalty)
    # Equally probable classes have the score of the first of them.
    lower = np.diff(ranked, axis=1, prepend=np.inf) < 0
    first = np.maximum.accumulate(np.where(lower, np.arange(given.shape[1]), 0), axis=1)
    scores = np.empty_like(given)
    np.put_along_axis(scores, order, np.take_along_axis(by_rank, first, axis=1), axis=1)
    return scores


def penalties(num_classes: int, k_reg: int = K_REG, penalty: float = PENALTY) -> np.ndarray:
    """What a score has for its rank 1, 2, … num_classes; float32."""
    return (penalty * np.maximum(np.arange(1, num_classes + 1) - k_reg, 0)).astype("float32")


def fit_sets(probabilities, labels, coverage: float) -> PredictionSets:
    """The sets of a wanted coverage.

    Their quantile is the ⌈(n + 1) · coverage⌉-th lowest score of the labels of n images, rounded up
    to six decimals.

    Args:
        probabilities: N×classes, of images that no network was trained on.
        labels: N, integers 0…classes-1.
        coverage: in (0, 1).

    Raises:
        InputError: there are fewer images than `images_needed`, or the coverage is out of range.
    """
    check_coverage(coverage, len(labels))
    scores = set_scores(probabilities)[np.arange(len(labels)), labels]
    quantile = float(np.sort(scores)[_rank(coverage, len(labels)) - 1])
    upwards = math.ceil(quantile * 10**_DIGITS) / 10**_DIGITS
    return PredictionSets(coverage, upwards, len(labels))


def images_needed(coverage: float) -> int:
    """The least number of validation images for a coverage in (0, 1)."""
    return math.ceil(coverage / (1 - coverage) * (1 - _NOISE))


def check_coverage(coverage: float, images: int) -> None:
    """Raises an InputError if so many validation images are too few for a coverage."""
    if not 0 < coverage < 1:
        raise InputError(f"`coverage={coverage:g}`: must be above 0 and below 1")
    if images < images_needed(coverage):
        raise InputError(
            f"`coverage={coverage:g}`: needs {images_needed(coverage):,} validation images, and "
            f"there are {images:,}; take more, or a lower coverage"
        )


def measure_sets(sets: PredictionSets, probabilities, labels) -> dict[str, float]:
    """What prediction sets are worth on other images: an entry of report.json.

    Args:
        probabilities: N×classes.
        labels: N, integers 0…classes-1.

    Returns:
        coverage, the wanted one; quantile; test_coverage: the share of images whose set holds the
        label; standard_error, of that, if coverage is exact: of the choice of both validation and
        test images; mean_size: classes in a set; share_of_one: of images whose set is one class.
    """
    found, labels = sets.predict(probabilities), np.asarray(labels)
    sizes = found.sum(axis=1)
    return {
        "coverage": sets.coverage,
        "quantile": sets.quantile,
        "test_coverage": float(found[np.arange(len(labels)), labels].mean()),
        "standard_error": standard_error(sets.coverage, sets.images, len(labels)),
        "mean_size": float(sizes.mean()),
        "share_of_one": float((sizes == 1).mean()),
    }


def standard_error(coverage: float, validation: int, test: int) -> float:
    """The standard deviation of the share of test images whose sets hold the true class.

    Given n validation images, the probability of coverage has the distribution Beta(n + 1 - l, l)
    with l = ⌊(n + 1) · (1 - coverage)⌋ (Vovk, ACML 2012); of test images, the number that is
    covered is then binomial. The scores have no ties.

    Args:
        coverage: the wanted one, in (0, 1).
        validation, test: numbers of images.
    """
    a = _rank(coverage, validation)
    b = validation + 1 - a
    mean = a / (a + b)
    of_validation = mean * (1 - mean) / (a + b + 1)
    # The mean over that distribution of p · (1 - p).
    of_test = mean * (1 - mean) - of_validation
    return math.sqrt(of_validation + of_test / test)


def measure_coverages(test, validation, labels: Sequence[np.ndarray], coverage: float) -> list:
    """An entry for each of `reported_coverages`: what `measure_sets` gives.

    Args:
        test, validation: probabilities of both splits, N×classes.
        labels: N, of both.
        coverage: one more to report; 0: none.
    """
    return [
        measure_sets(fit_sets(validation, labels[1], wanted), test, labels[0])
        for wanted in reported_coverages(coverage, len(labels[1]))
    ]


def reported_coverages(coverage: float, validation: int) -> list[float]:
    """`COVERAGES` and one more (0: none) in order, without those that need more images."""
    wanted = sorted({*COVERAGES, coverage} - {0})
    return [value for value in wanted if images_needed(value) <= validation]


def _rank(coverage: float, images: int) -> int:
    return math.ceil((images + 1) * coverage * (1 - _NOISE))
