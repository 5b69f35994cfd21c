import numpy as np
import pytest

from bridge_tf.evaluation import apply_temperature, brier, fit_temperature, nll, score
from bridge_tf.evaluation.early_exit import (
    ALWAYS,
    choose_threshold,
    confidences,
    measure_early_exit,
)


def of_confidence(*top) -> np.ndarray:
    """Log-probabilities of two classes."""
    top = np.array(top)
    return np.log(np.stack([top, 1 - top], axis=1))


@pytest.mark.parametrize(
    ("budget", "more", "number"),
    [(1.0, 0.5, 0), (1.1, 0.5, 2), (1.09, 0.5, 1), (1.5, 0.5, 10), (9.0, 0.5, 10), (1.3, 1.0, 3)],
)
def test_as_many_images_go_on_as_the_budget_allows(budget, more, number):
    base = of_confidence(*np.linspace(0.55, 0.99, 10)[::-1])
    threshold = choose_threshold(base, budget, more)
    assert (confidences(base) < threshold).sum() == number
    assert (threshold == ALWAYS) == (number == 10)


def test_images_of_one_confidence_stay_together_within_the_budget():
    base = of_confidence(0.6, 0.7, 0.7, 0.7, 0.9)
    assert choose_threshold(base, 1 + 0.3 * 2 / 5, 0.3) == np.float32(0.7)
    assert (confidences(base) < np.float32(0.7)).tolist() == [True, False, False, False, False]


def test_figures_are_those_of_the_answers_that_were_given():
    generator = np.random.default_rng(0)
    labels = [generator.integers(0, 3, 40) for _ in range(2)]

    def predictions(scale):
        logits = [generator.normal(0, 1, (40, 3)) + scale * np.eye(3)[k] for k in labels]
        return [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in logits]

    base, whole = predictions(1), predictions(3)
    found = measure_early_exit(base, whole, labels, 1.1, 0.25, [0.9, 0.5, 0.3])
    threshold = np.sort(confidences(base[1]))[16]  # 0.1 / 0.25 of 40 images
    assert found["threshold"] == threshold and found["budget"] == 1.1
    goes_on = np.exp(base[0].max(axis=1)) < threshold
    assert found["share"] == goes_on.mean()
    assert found["relative_flops"] == pytest.approx(1 + goes_on.mean() * 0.25)
    final = np.exp(base[1].max(axis=1)) >= threshold
    temperature = fit_temperature(base[1][final], labels[1][final])
    assert found["temperature"] == temperature != fit_temperature(base[1], labels[1])
    scaled = (
        apply_temperature(base[0], temperature),
        apply_temperature(whole[0], fit_temperature(whole[1], labels[1])),
    )
    for prefix, (b, w) in (("", (base[0], whole[0])), ("calibrated_", scaled)):
        by_hand = np.array([w[k] if goes_on[k] else b[k] for k in range(40)])
        assert found[f"{prefix}nll"] == pytest.approx(nll(by_hand, labels[0]))
        assert found[f"{prefix}brier"] == pytest.approx(brier(by_hand, labels[0]))
    assert found["dee"] is not None and not found["dee_extrapolated"]
    # At the cost of the whole ensemble, its figures; at the base's, those of the base.
    for budget, all_of in ((1.25, whole), (1.0, base)):
        found = measure_early_exit(base, whole, labels, budget, 0.25, [0.9, 0.5])
        expected = score(all_of[0], labels[0], all_of[1], labels[1])
        for key in ("nll", "calibrated_nll", "calibrated_ece", "aurc"):
            assert found[key] == pytest.approx(expected[key])
        assert found["relative_flops"] == budget
