"""Pools of runs against plain loops over resamples, and against SciPy."""

import itertools

import numpy as np
import pytest
import scipy.stats
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from bridge_tf.evaluation import deep_ensemble_equivalent, ensemble_log_probs, fit_temperature
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.pooling import Pool, Resampled
from tests.evaluation.measured_runs import CLASSES, LABELS, TEST, measured
from tests.evaluation.scipy_bootstrap import bootstrap
from tests.evaluation.test_dee import images_of

RUNS, RESAMPLES = 3, 30


@pytest.fixture(scope="module")
def runs():
    return [measured(seed, RESAMPLES) for seed in range(RUNS)]


def pooled(runs) -> Pool:
    return Pool(
        *([getattr(run, key) for run in runs] for key in ("rows", "yardstick", "resampled"))
    )


@pytest.fixture(scope="module")
def pool(runs):
    return pooled(runs)


def by_name(rows) -> dict:
    return {row["name"]: row for row in rows}


def percentiles(values):
    # Each temperature is known to 1e-6.
    return pytest.approx(np.percentile(values, [2.5, 97.5]).tolist(), rel=1e-6, abs=1e-8)


def calibrated(test, validation, images) -> tuple[float, float]:
    """Accuracy and calibrated NLL on images of both splits, which may be there several times."""
    (i, j), (labels, of_validation) = images, LABELS
    temperature = fit_temperature(validation[j], of_validation[j])
    probabilities = np.exp(log_softmax(test[i] / temperature, axis=1))
    nll = log_loss(labels[i], probabilities, labels=range(CLASSES))
    return accuracy_score(labels[i], test[i].argmax(axis=1)), nll


def resampled(runs, weights) -> tuple[dict, np.ndarray]:
    """Accuracy, calibrated NLL and DEE of each row in each resample, by a loop."""
    counts, found = Resamples(LABELS, RESAMPLES).counts, {}
    yardsticks = []
    for b in range(RESAMPLES):
        images = [images_of(of_split[[b]])[0] for of_split in counts]
        chosen = [run for run, times in zip(runs, weights[b], strict=True) for _ in range(times)]
        assert len(chosen) == RUNS
        sizes = []
        for size in (1, 2, 3):
            values = []
            for run in chosen:
                for subset in itertools.combinations(run.modes, size):
                    splits = [ensemble_log_probs(members) for members in zip(*subset, strict=True)]
                    values.append(calibrated(*splits, images)[1])
            sizes.append(np.mean(values))
        yardsticks.append(sizes)
        for name in runs[0].predictions:
            figures = [calibrated(*run.predictions[name], images) for run in chosen]
            accuracy, nll = np.mean(figures, axis=0)
            dee = deep_ensemble_equivalent(nll, sizes)[0]
            found.setdefault(name, []).append((accuracy, nll, dee))
    return {name: np.array(values, float) for name, values in found.items()}, np.array(yardsticks)


def check(rows, expected):
    """Checks intervals of rows, and of their differences, against figures in each resample."""
    for name, row in rows.items():
        for k, key in enumerate(("accuracy", "calibrated_nll", "dee")):
            own = expected[name][:, k]
            assert not np.isnan(own).any()
            assert row["intervals"][key] == percentiles(own)
            if name != "single":
                lead = own - expected["single"][:, k]
                assert row["versus_single"][key] == percentiles(lead)
            if rival := row.get("versus_cheapest"):
                lead = own - expected[rival["name"]][:, k]
                assert rival[key] == percentiles(lead)


def test_intervals_over_images_apply_each_resample_to_all_runs(runs, pool):
    expected, _ = resampled(runs, np.ones((RESAMPLES, RUNS), int))
    check({row["name"]: row["of_images"] for row in pool.rows}, expected)


def test_intervals_over_runs_and_images_draw_runs_too(runs, pool):
    generator = np.random.default_rng(1)
    weights = np.zeros((RESAMPLES, RUNS), int)
    for row in weights:
        for run in generator.integers(RUNS, size=RUNS):
            row[run] += 1
    assert len(np.unique(weights, axis=0)) > 5
    expected, yardsticks = resampled(runs, weights)
    check(by_name(pool.rows), expected)
    for size, values in zip(pool.yardstick, yardsticks.T, strict=True):
        assert size["interval"] == percentiles(values)


def test_means_and_standard_errors_over_runs(runs, pool):
    sizes = [
        np.mean([run.yardstick[k]["calibrated_nll"] for run in runs])
        for k in range(len(LABELS) + 1)
    ]
    assert [size["calibrated_nll"] for size in pool.yardstick] == pytest.approx(sizes, rel=1e-12)
    of_runs = [by_name(run.rows) for run in runs]
    for row in pool.rows:
        for key in ("accuracy", "calibrated_nll", "training_cost", "relative_flops", "brier"):
            values = [rows[row["name"]][key] for rows in of_runs]
            assert row[key] == pytest.approx(np.mean(values), rel=1e-12)
            expected = pytest.approx(scipy.stats.sem(values), rel=1e-9, abs=1e-15)
            assert row["standard_errors"][key] == expected
        nll = [rows[row["name"]]["calibrated_nll"] for rows in of_runs]
        assert row["values"]["calibrated_nll"] == nll
        assert row["dee"] == pytest.approx(deep_ensemble_equivalent(np.mean(nll), sizes)[0])
        dee = [deep_ensemble_equivalent(value, sizes)[0] for value in nll]
        assert row["standard_errors"]["dee"] == pytest.approx(scipy.stats.sem(dee), rel=1e-9)
        if row["name"] != "single":
            lead = [
                rows[row["name"]]["calibrated_nll"] - rows["single"]["calibrated_nll"]
                for rows in of_runs
            ]
            found = row["versus_single"]
            assert found["values"]["calibrated_nll"] == pytest.approx(lead, rel=1e-12)
            assert found["mean"]["calibrated_nll"] == pytest.approx(np.mean(lead), rel=1e-9)
            expected = pytest.approx(scipy.stats.sem(lead), rel=1e-9)
            assert found["standard_error"]["calibrated_nll"] == expected


def test_an_interval_over_images_is_that_of_scipy():
    runs = [measured(seed, 1000) for seed in range(RUNS)]
    row = by_name(pooled(runs).rows)["bridge_1"]
    right = [run.predictions["bridge_1"][0].argmax(axis=1) == LABELS[0] for run in runs]
    expected = bootstrap([np.mean(right, axis=0)], np.mean)
    # As in test_bootstrap, of a thousand resamples here; accuracies have steps.
    chance = 4 * 2.7 * expected.standard_error / np.sqrt(1000) + 1 / (RUNS * TEST)
    assert row["of_images"]["intervals"]["accuracy"] == [
        pytest.approx(end, abs=chance) for end in expected.confidence_interval
    ]


def test_an_interval_over_runs_is_that_of_scipy_where_images_make_no_chance():
    values = [0.5, 0.41, 0.47, 0.38]
    row = {"name": "single", "method": "single", "size": 1, "accuracy": 0.5}
    row |= {"relative_flops": 1.0, "relative_params": 1.0}
    size = {"size": 1, "subsets": 1}
    pool = Pool(
        [[{**row, "calibrated_nll": value}] for value in values],
        [[{**size, "calibrated_nll": value}] for value in values],
        [
            Resampled(
                {"single": {"accuracy": np.ones(1000), "calibrated_nll": np.full(1000, value)}},
                {"single": np.ones(9)},
                np.full((1, 1000), value),
            )
            for value in values
        ],
    )
    (found,) = pool.rows
    expected = bootstrap([values], np.mean)
    chance = 4 * 2.7 * expected.standard_error / np.sqrt(1000)
    assert found["intervals"]["calibrated_nll"] == [
        pytest.approx(end, abs=chance) for end in expected.confidence_interval
    ]
    assert found["of_images"]["intervals"]["calibrated_nll"] == pytest.approx([0.44, 0.44])
    assert pool.weights.sum(axis=1).tolist() == [4] * 1000
    # One size is no yardstick for other values than its own, as a single run's.
    assert found["standard_errors"]["dee"] is None and found["intervals"]["dee"] == [1, 1]


def test_rows_that_some_runs_lack_are_left_out(runs):
    fewer = measured(1, RESAMPLES)
    fewer.rows = [row for row in fewer.rows if row["name"] != "bridge_1"]
    fewer.rows.append({**fewer.rows[-1], "name": "swa_1"})
    fewer.resampled.figures["swa_1"] = fewer.resampled.figures["bridge_1"]
    pool = pooled([runs[0], fewer, runs[2]])
    assert pool.names == ["single", "deep_ensemble_2", "deep_ensemble_3"] == [*by_name(pool.rows)]
    assert pool.left_out == {"bridge_1": [0, 2], "swa_1": [1]}
    # A row that wasn't resampled has no intervals.
    del fewer.resampled.figures["swa_1"], fewer.resampled.figures["deep_ensemble_3"]
    pool = pooled([runs[0], fewer, runs[2]])
    assert pool.names == ["single", "deep_ensemble_2"]
    assert pool.left_out == {"deep_ensemble_3": [0, 2], "bridge_1": [0, 2]}


def test_the_recommendation_is_by_the_mean_over_runs(runs, pool):
    found = pool.recommend({"flops": 2.5}, TEST, 1000)
    within = [name for name in pool.names if name != "deep_ensemble_3"]
    held_out = {name: np.array([run.resampled.held_out[name] for run in runs]) for name in within}
    best = min(within, key=lambda name: held_out[name].mean())
    assert found["best"] == best
    counts = Resamples(LABELS, RESAMPLES).counts[1].astype(int)

    def leads(name):
        lead = held_out[name] - held_out[best]
        return [
            np.mean(
                [
                    np.repeat(lead[run], of_images)
                    for run, times in enumerate(of_runs.astype(int))
                    for _ in range(times)
                ]
            )
            for of_images, of_runs in zip(counts, pool.weights, strict=True)
        ]

    ends = np.percentile(leads(found["name"]), [2.5, 97.5])
    assert found["difference"] == pytest.approx(ends, abs=1e-12)
    assert found["validation_nll"] == pytest.approx(held_out[found["name"]].mean(), rel=1e-12)
    # A row that is cheaper than the one that was chosen is worse by more than chance.
    flops = {name: by_name(pool.rows)[name]["relative_flops"] for name in within}
    for name in within:
        if flops[name] < flops[found["name"]]:
            assert np.percentile(leads(name), 2.5) > 0
    assert pool.recommend({"flops": 0.5}, TEST, 1000)["name"] is None
