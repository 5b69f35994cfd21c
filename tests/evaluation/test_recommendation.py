import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from bridge_tf.evaluation import fit_temperature
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.recommendation import costs, held_out_nll, recommend
from tests.evaluation.test_bootstrap import predictions

IMAGES = 300
COUNTS = Resamples([np.zeros(IMAGES, int)] * 2).counts[1]


def row(name, flops, **more):
    figures = dict.fromkeys(("accuracy", "calibrated_nll", "dee"), 0.5)
    method = name.rpartition("_")[0] or name
    costs = {"relative_flops": flops, "relative_params": 2 * flops}
    return {"name": name, "method": method, **costs, **figures, "intervals": {}} | more


def chosen(rows, held_out, budget=None):
    return recommend(rows, held_out, COUNTS, budget or {"flops": 2.0}, 100)


@pytest.fixture
def nll():
    """Two rows that differ by chance, and one that is better than both."""
    generator = np.random.default_rng(0)
    single = generator.exponential(0.5, IMAGES)
    chance = single + generator.normal(-0.001, 0.1, IMAGES)
    better = single + generator.normal(-0.1, 0.1, IMAGES)
    assert chance.mean() < single.mean()
    return {"single": single, "bridge_1": chance, "bridge_2": better, "curve_1": better - 0.1}


def test_a_temperature_is_of_the_other_half():
    log_probs, labels = predictions(0, 41, 4, 1, 3)
    found = held_out_nll(log_probs, labels)
    order = np.random.default_rng(0).permutation(41)
    for half, other in ((order[:21], order[21:]), (order[21:], order[:21])):
        powers = log_softmax(log_probs[half] / fit_temperature(log_probs[other], labels[other]), 1)
        expected = log_loss(labels[half], np.exp(powers), labels=range(4))
        assert found[half].mean() == pytest.approx(expected, rel=1e-10)
        assert found[half][0] == pytest.approx(-powers[0, labels[half[0]]], rel=1e-10)


def test_one_validation_image_keeps_its_probability():
    log_probs, labels = predictions(0, 1, 4, 1, 3)
    assert held_out_nll(log_probs, labels) == pytest.approx(-log_probs[0, labels[0]], rel=1e-12)


def test_the_best_within_the_budget_is_chosen_if_its_lead_is_no_chance(nll):
    rows = [row("single", 1), row("bridge_1", 1.1), row("bridge_2", 1.2), row("curve_1", 2.1)]
    found = chosen(rows, nll)
    assert (found["name"], found["best"]) == ("bridge_2", "bridge_2")
    assert found["is_bridge_ensemble"] and found["bytes"] == 4 * 240
    assert found["validation_nll"] == pytest.approx(nll["bridge_2"].mean())
    assert chosen(rows, nll, {"flops": 2.1})["name"] == "curve_1"
    assert not chosen(rows, nll, {"flops": 2.1})["is_bridge_ensemble"]


def test_a_lead_by_chance_goes_to_the_cheaper_row(nll):
    rows = [row("bridge_1", 1.1), row("single", 1)]
    found = chosen(rows, nll)
    assert (found["name"], found["best"]) == ("single", "bridge_1")
    drawn = [
        np.mean(np.repeat(nll["single"] - nll["bridge_1"], counts.astype(int))) for counts in COUNTS
    ]
    low, high = found["difference"]
    assert [low, high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))
    assert low < 0 < high


def test_a_row_that_is_worse_than_a_cheaper_one_is_not_chosen_for_its_noise(nll):
    noise = np.random.default_rng(1).normal(0.05, 3, IMAGES)
    noise += 0.05 - noise.mean()
    steady = {"single": nll["single"], "bridge_1": nll["single"] + noise}
    steady["bridge_2"] = nll["single"] - 0.02
    rows = [row("single", 1), row("bridge_1", 1.1), row("bridge_2", 1.2)]
    found = chosen(rows, steady)
    assert (found["name"], found["best"]) == ("bridge_2", "bridge_2")
    assert chosen(rows[1:], steady)["name"] == "bridge_1"  # its disadvantage may be chance


def test_of_equal_costs_the_better_row_is_chosen(nll):
    assert chosen([row("single", 1), row("bridge_1", 1)], nll)["name"] == "bridge_1"
    assert chosen([row("single", 1.2496), row("bridge_1", 1.2503)], nll)["name"] == "bridge_1"


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        ({"flops": 2, "worst_flops": 2}, "single"),
        ({"flops": 2, "worst_flops": 4}, "bridge_2"),
        ({"flops": 2, "params": 2.5}, "bridge_2"),
        ({"flops": 2, "params": 2.3}, "single"),
        ({"flops": 2, "bytes": 960}, "bridge_2"),
        ({"flops": 2, "bytes": 959}, "single"),
        ({"flops": 1.1}, "single"),
        ({"flops": 2, "bytes": 100}, None),
    ],
)
def test_each_limit(nll, budget, name):
    # A cascade's average is of the validation images, here 1.2; its worst case is another.
    cascade = row("bridge_2", 1.2, worst_relative_flops=4, relative_flops=1.3)
    rows = [row("single", 1), cascade | {"average_flops_validation": 1.2}]
    assert chosen(rows, nll, budget)["name"] == name


def test_a_row_without_figures_of_validation_images_is_not_chosen(nll):
    del nll["bridge_2"]
    assert chosen([row("single", 1), row("bridge_2", 1.2)], nll)["best"] == "single"


def test_costs_of_a_row():
    assert costs(row("a_1", 1.5), 100) == {
        "flops": 1.5,
        "worst_flops": 1.5,
        "params": 3,
        "bytes": 1200,
    }
