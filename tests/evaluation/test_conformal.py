import math
import re

import numpy as np
import pytest
from scipy import stats

from bridge_tf.evaluation import conformal
from bridge_tf.evaluation.conformal import (
    PredictionSets,
    check_coverage,
    fit_sets,
    images_needed,
    measure_coverages,
    measure_sets,
    penalties,
    reported_coverages,
    set_scores,
    standard_error,
)
from bridge_tf.utils.errors import InputError


def _drawn(images, classes, seed, sharpness=2.0):
    """Probabilities, and labels that have them."""
    generator = np.random.default_rng(seed)
    logits = sharpness * generator.normal(size=(images, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [generator.choice(classes, p=p) for p in probabilities]
    return probabilities.astype("float32"), np.array(labels)


def _loop(row, k_reg, penalty):
    """The scores of one image by the definition."""
    scores = []
    for p in row:
        higher = [q for q in row if q > p]
        scores.append(math.fsum(higher) + penalty * max(0, len(higher) + 1 - k_reg))
    return scores


@pytest.mark.parametrize(("k_reg", "penalty"), [(5, 0.01), (1, 0.2), (3, 0.0), (20, 1.0)])
def test_scores_are_those_of_a_plain_loop(k_reg, penalty):
    probabilities, _ = _drawn(40, 12, seed=0)
    wanted = [_loop(row, k_reg, penalty) for row in probabilities.astype("float64")]
    # Twelve sums of float32 below 2.
    np.testing.assert_allclose(set_scores(probabilities, k_reg, penalty), wanted, atol=2e-6)


def test_equal_probabilities_have_equal_scores():
    row = [0.1, 0.3, 0.1, 0.3, 0.2]
    np.testing.assert_allclose(set_scores([row], 2, 1.0)[0], [2.8, 0, 2.8, 0, 1.6], atol=1e-6)
    uniform = PredictionSets(0.9, 0.0, 9).predict(np.full((1, 4), 0.25))
    assert uniform.all()


def test_sets_agree_with_those_of_mapie():
    """Without its random numbers, and with few classes, so that there is no penalty."""
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores import APSConformityScore
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Ones(np.random.RandomState):
        """MAPIE takes this share of the true class's probability from a score."""

        def uniform(self, *args, size=None, **kwargs):
            return np.ones(size)

    class Given(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(5)

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, x, y):
            return self

        def predict_proba(self, x):
            return np.asarray(x, "float64")

        def predict(self, x):
            return np.argmax(x, axis=1)

    for seed, coverage in enumerate((0.8, 0.9, 0.95, 0.99)):
        validation, labels = _drawn(301, 5, seed=seed)
        test, _ = _drawn(500, 5, seed=100 + seed)
        theirs = SplitConformalClassifier(
            Given(), coverage, APSConformityScore(), prefit=True, random_state=Ones()
        )
        # MAPIE wants sums of 1 in double precision.
        double = [x.astype("float64") for x in (validation, test)]
        double = [x / x.sum(axis=1, keepdims=True) for x in double]
        theirs.conformalize(double[0], labels)
        _, wanted = theirs.predict_set(double[1], {"include_last_label": True})
        found = fit_sets(validation, labels, coverage).predict(test)
        # Of 2,500 scores in 0…1, one may lie in the millionth by which the quantile is rounded up.
        assert (found != wanted[..., 0]).sum() == 0
        assert 1 < found.sum(axis=1).mean() < 5


@pytest.mark.parametrize(("images", "coverage"), [(20, 0.9), (199, 0.95), (60, 0.8)])
def test_coverage_of_exchangeable_images_is_the_wanted_one(images, coverage):
    """Its mean and its standard deviation over draws of both splits are as said."""
    draws, tested, shares = 2000, 50, []
    probabilities, labels = _drawn(20_000, 8, seed=1, sharpness=0.7)
    generator = np.random.default_rng(2)
    for _ in range(draws):
        chosen = generator.permutation(len(labels))[: images + tested]
        fitted, measured = chosen[:images], chosen[images:]
        sets = fit_sets(probabilities[fitted], labels[fitted], coverage)
        shares.append(measure_sets(sets, probabilities[measured], labels[measured]))
    covered = np.array([share["test_coverage"] for share in shares])
    error = standard_error(coverage, images, tested)
    exact = math.ceil((images + 1) * coverage - 1e-9) / (images + 1)
    # Four standard errors of the mean over draws; the score 0 of each top class makes ties.
    assert covered.mean() > exact - 4 * error / math.sqrt(draws)
    assert covered.mean() < exact + 0.01 + 4 * error / math.sqrt(draws)
    assert covered.std() == pytest.approx(error, rel=0.1)


def test_the_standard_error_is_that_of_a_beta_binomial_distribution():
    for coverage, validation, test in ((0.9, 200, 797), (0.95, 5000, 5000), (0.99, 99, 10)):
        below = math.floor((validation + 1) * (1 - coverage) + 1e-9)
        wanted = stats.betabinom(test, validation + 1 - below, below).std() / test
        assert standard_error(coverage, validation, test) == pytest.approx(wanted, rel=1e-12)


def test_a_model_that_is_always_right_has_sets_of_one_class():
    probabilities = np.eye(4)[[0, 1, 2, 3] * 10] * 0.9 + 0.025
    labels = np.arange(40) % 4
    sets = fit_sets(probabilities, labels, 0.9)
    assert sets == PredictionSets(0.9, 0.0, 40)
    measured = measure_sets(sets, probabilities, labels)
    assert (measured["test_coverage"], measured["mean_size"], measured["share_of_one"]) == (1, 1, 1)


def test_the_quantile_is_the_score_of_the_right_rank():
    """Of 9 images, 0.9 takes the highest score, 0.8 the second highest."""
    probabilities = np.array([[0.01 * (50 + k), 0.01 * (50 - k)] for k in range(1, 10)])
    labels = np.ones(9, int)  # whose score is the other's probability
    assert fit_sets(probabilities, labels, 0.9).quantile == pytest.approx(0.59, abs=2e-6)
    assert fit_sets(probabilities, labels, 0.8).quantile == pytest.approx(0.58, abs=2e-6)
    assert fit_sets(probabilities, labels, 0.8).quantile >= np.float32(0.58)


@pytest.mark.parametrize(
    ("coverage", "needed"), [(0.9, 9), (0.95, 19), (0.97, 33), (0.99, 99), (0.5, 1), (0.999, 999)]
)
def test_too_few_images_are_refused(coverage, needed):
    assert images_needed(coverage) == needed
    check_coverage(coverage, needed)
    message = f"`coverage={coverage:g}`: needs {needed} validation images, and there are "
    with pytest.raises(InputError, match=re.escape(message + f"{needed - 1};")):
        fit_sets(np.full((needed - 1, 2), 0.5), np.zeros(needed - 1, int), coverage)


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5])
def test_impossible_coverages_are_refused(coverage):
    with pytest.raises(InputError, match="must be above 0 and below 1"):
        check_coverage(coverage, 1000)


def test_reports_have_the_coverages_for_which_there_are_images():
    assert reported_coverages(0, 100) == [0.9, 0.95, 0.97, 0.99]
    assert reported_coverages(0.8, 30) == [0.8, 0.9, 0.95]
    assert reported_coverages(0.9, 8) == []
    (test, labels), (validation, others) = _drawn(70, 6, 3), _drawn(40, 6, 4)
    rows = measure_coverages(test, validation, (labels, others), 0.5)
    assert [row["coverage"] for row in rows] == [0.5, 0.9, 0.95, 0.97]
    sizes = [row["mean_size"] for row in rows]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_penalties_begin_after_the_last_free_rank():
    assert penalties(8, 5, 0.5).tolist() == [0, 0, 0, 0, 0, 0.5, 1, 1.5]
    assert (conformal.K_REG, conformal.PENALTY) == (5, 0.01)
