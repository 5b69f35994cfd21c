import numpy as np
import pytest

from bridge_tf.evaluation import deep_ensemble_equivalent
from bridge_tf.evaluation.intervals import add_intervals, cheapest_as_good


def row(name, flops, calibrated_nll, params=1.0):
    return {
        "name": name,
        "relative_flops": flops,
        "relative_params": params,
        "calibrated_nll": calibrated_nll,
    }


def resampled(generator, calibrated_nll):
    return {
        "accuracy": generator.uniform(0.9, 1, 200),
        "calibrated_nll": generator.normal(calibrated_nll, 0.02, 200),
    }


def percentiles(values):
    return pytest.approx(np.percentile(values, [2.5, 97.5]).tolist(), rel=1e-12)


def test_intervals_of_rows_and_of_their_differences_resample_by_resample():
    generator = np.random.default_rng(0)
    rows = [row("single", 1, 0.5), row("two", 2, 0.4), row("cheap", 1.1, 0.38), row("odd", 1, 0.1)]
    found = {x["name"]: resampled(generator, x["calibrated_nll"]) for x in rows[:3]}
    yardstick = np.sort(generator.normal([0.3, 0.4, 0.5], 0.01, (200, 3)), axis=1).T[::-1]
    add_intervals(rows, found, yardstick)
    dee = {
        name: np.array(
            [
                deep_ensemble_equivalent(figures["calibrated_nll"][k], yardstick[:, k])[0]
                for k in range(200)
            ]
        )
        for name, figures in found.items()
    }
    single, two, cheap, odd = rows
    for x in rows[:3]:
        name = x["name"]
        assert x["intervals"]["dee"] == percentiles(dee[name])
        for key in ("accuracy", "calibrated_nll"):
            assert x["intervals"][key] == percentiles(found[name][key])
            difference = found[name][key] - found["single"][key]
            if x is not single:
                assert x["versus_single"][key] == percentiles(difference)
    assert two["versus_single"]["dee"] == percentiles(dee["two"] - dee["single"])
    assert two["versus_cheapest"]["name"] == single["versus_cheapest"]["name"] == "cheap"
    expected = percentiles(dee["two"] - dee["cheap"])
    assert two["versus_cheapest"]["dee"] == expected
    # It is the best of those that were resampled.
    assert "versus_cheapest" not in cheap and "versus_single" not in single
    assert set(odd) == set(row("odd", 1, 0.1))


def test_a_yardstick_that_is_often_no_yardstick_gives_no_interval():
    rows = [row("single", 1, 0.5)]
    figures = {"accuracy": np.ones(200), "calibrated_nll": np.full(200, 0.45)}
    falls = np.array([[0.5] * 200, [0.4] * 190 + [0.6] * 10])
    add_intervals(rows, {"single": figures}, falls)
    assert rows[0]["intervals"] == {
        "accuracy": [1, 1],
        "calibrated_nll": [0.45, 0.45],
        "dee": None,
    }


def test_the_cheapest_row_that_is_at_least_as_good():
    rows = [row("a", 1, 0.5), row("b", 2, 0.4, 2), row("c", 2, 0.4), row("d", 3, 0.3)]
    names = [(cheapest_as_good(x, rows) or {"name": None})["name"] for x in rows]
    # c has fewer parameters than b.
    assert names == ["c", "c", "b", None]
