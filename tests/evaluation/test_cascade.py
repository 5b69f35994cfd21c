"""Cascades, compared with a plain Python loop over images."""

import math

import numpy as np
import pytest

from bridge_tf.evaluation import apply_temperature, nll
from bridge_tf.evaluation.cascade import Cascade, cascade_curve, fit_cascade
from bridge_tf.evaluation.early_exit import ALWAYS

TEMPERATURES = (0.7, 1.6)


def predictions(images: int, seed: int, classes: int = 4) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (images, classes))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def softmax(logits) -> list[float]:
    powers = [math.exp(x) for x in logits]
    return [x / sum(powers) for x in powers]


def by_loop(stages, threshold: float, flops):
    """Probabilities before and after calibration, who goes on, and the mean cost."""
    raw, calibrated, going, cost = [], [], [], 0.0
    for image in zip(*stages, strict=True):
        top = max(softmax(image[0] / TEMPERATURES[0]))
        stage = 1 if np.float32(top) < threshold else 0
        raw.append(softmax(image[stage]))
        calibrated.append(softmax(image[stage] / TEMPERATURES[stage]))
        going.append(stage == 1)
        cost += flops[stage]
    return np.array(raw), np.array(calibrated), going, cost / len(going)


def highest_threshold(first, flops, budget: float) -> float:
    """By trying each confidence."""
    tops = [np.float32(max(softmax(row / TEMPERATURES[0]))) for row in first]
    allowed = [
        t
        for t in [*tops, ALWAYS]
        if np.mean([flops[int(top < t)] for top in tops]) <= budget + 1e-9
    ]
    return max(allowed)


@pytest.mark.parametrize(
    ("flops", "budget"), [((1.0, 4.0), 1.25), ((1.1, 4.1), 1.25), ((1.0, 2.0), 1.5)]
)
def test_outputs_cost_and_threshold_are_those_of_a_loop_over_images(flops, budget):
    validation, stages = predictions(90, 0), [predictions(150, seed) for seed in (1, 2)]
    cascade = fit_cascade(validation, TEMPERATURES, flops, budget)
    assert cascade.threshold == highest_threshold(validation, flops, budget)
    raw, calibrated, goes_on = cascade.predict(stages)
    expected = by_loop(stages, cascade.threshold, flops)
    np.testing.assert_allclose(np.exp(raw), expected[0], rtol=1e-12)
    np.testing.assert_allclose(np.exp(calibrated), expected[1], rtol=1e-12)
    assert goes_on.tolist() == expected[2] and 0 < goes_on.sum() < 150
    assert cascade.average_flops(goes_on) == pytest.approx(expected[3], rel=1e-12)
    assert cascade.average_flops(cascade.goes_on(validation)) <= budget + 1e-9


def test_a_first_stage_above_the_budget_has_no_cascade_and_one_at_it_keeps_all_images():
    validation = predictions(40, 0)
    assert fit_cascade(validation, TEMPERATURES, (1.26, 4.0), 1.25) is None
    cascade = fit_cascade(validation, TEMPERATURES, (1.25, 4.0), 1.25)
    assert not cascade.goes_on(validation).any()
    assert cascade.average_flops(cascade.goes_on(validation)) == 1.25
    raw, calibrated, _ = cascade.predict([validation, predictions(40, 1)])
    assert (raw == validation).all()
    assert (calibrated == apply_temperature(validation, TEMPERATURES[0])).all()


def test_all_images_go_on_where_the_budget_pays_for_it():
    validation, second = predictions(40, 0), predictions(40, 1)
    cascade = fit_cascade(validation, TEMPERATURES, (1.0, 2.0), 2.0)
    assert cascade.threshold == ALWAYS
    raw, calibrated, goes_on = cascade.predict([validation, second])
    assert goes_on.all() and cascade.average_flops(goes_on) == 2
    assert (raw == second).all()
    assert (calibrated == apply_temperature(second, TEMPERATURES[1])).all()


def test_images_of_one_confidence_stay_together_within_the_budget():
    top = np.log([[0.9, 0.1]] * 3 + [[0.3, 0.7]] * 4 + [[0.6, 0.4]])
    # Room for three images, but four have the second lowest confidence.
    cascade = fit_cascade(top, (1.0, 1.0), (1.0, 2.0), 1 + 3 / 8)
    assert cascade.goes_on(top).tolist() == [False] * 7 + [True]
    # All are sure alike: either none goes on or all do.
    alike = np.log([[0.8, 0.2]] * 8)
    for budget, number in ((1.9, 0), (2.0, 8)):
        assert fit_cascade(alike, (1.0, 1.0), (1.0, 2.0), budget).goes_on(alike).sum() == number


def test_with_one_class_every_image_is_sure():
    alone = np.zeros((5, 1))
    cascade = fit_cascade(alone, TEMPERATURES, (1.0, 3.0), 1.5)
    raw, calibrated, goes_on = cascade.predict([alone, alone])
    assert not goes_on.any() and (raw == 0).all() and (calibrated == 0).all()
    points = cascade_curve(cascade, [alone, alone], np.zeros(5, int), alone, shares=3)
    assert [point["average_flops"] for point in points] == [1, 1, 3]
    assert {point["calibrated_nll"] for point in points} == {0}


def test_a_curve_is_of_what_a_loop_predicts_at_each_threshold():
    validation, stages = predictions(90, 0), [predictions(150, seed) for seed in (1, 2)]
    labels = np.random.default_rng(3).integers(0, 4, 150)
    flops = (1.1, 4.0)
    points = cascade_curve(Cascade(TEMPERATURES, flops), stages, labels, validation, shares=6)
    tops = np.sort([np.float32(max(softmax(row / TEMPERATURES[0]))) for row in validation])
    # 0, 18, …, 90 of the 90 validation images.
    assert [point["threshold"] for point in points] == [*tops[::18], ALWAYS]
    for point in points:
        raw, calibrated, going, cost = by_loop(stages, point["threshold"], flops)
        assert point["share_going_on"] == np.mean(going)
        assert point["average_flops"] == pytest.approx(cost, rel=1e-12)
        assert point["accuracy"] == np.mean(raw.argmax(axis=1) == labels)
        expected = nll(np.log(calibrated), labels)
        assert point["calibrated_nll"] == pytest.approx(expected, rel=1e-12)
    assert points[-1]["share_going_on"] == 1
