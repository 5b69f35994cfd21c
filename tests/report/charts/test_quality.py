import itertools

import numpy as np
import pytest

from bridge_tf.report.charts import quality, style

ROWS = [
    {"method": method, "relative_flops": flops, "accuracy": 0.9, "calibrated_nll": 0.3}
    for method, flops in (("single", 1.0), ("deep_ensemble", 2.0), ("bridge", 1.1), ("a$b$", 1.5))
]


@pytest.mark.parametrize(("highest", "scale"), [(2, "linear"), (8, "linear"), (16, "log")])
def test_costs_are_to_scale_unless_they_are_too_many(highest, scale):
    rows = [*ROWS, {**ROWS[1], "relative_flops": float(highest)}]
    chart, _ = quality.draw(rows, "calibrated_nll")
    (axes,) = chart.axes
    assert axes.get_xscale() == scale
    assert ("logarithmic" in axes.get_xlabel()) == (scale == "log")


def test_the_single_network_is_a_mark_and_the_others_lines_from_it():
    chart, _ = quality.draw(ROWS, "accuracy")
    single, *others = chart.axes[0].lines
    assert single.get_linestyle() == "None" and single.get_marker() == "*"
    *others, front = others
    assert front.get_label() == "Pareto front"
    for line in others:
        assert tuple(line.get_xydata()[0]) == (1, 90)


def test_methods_are_named_as_they_are():
    assert ">a$b$<" in style.to_svg(*quality.draw(ROWS, "accuracy"))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_front_is_what_no_other_row_beats(sign):
    # On a grid, so that some are equal in one of the two.
    places = np.random.default_rng(12).integers(0, 12, (20, 2)).tolist()
    places = [(float(cost), float(quality)) for cost, quality in places]
    expected = {
        (cost, quality)
        for cost, quality in places
        if not any(
            a <= cost and sign * b >= sign * quality and (a, b) != (cost, quality)
            for a, b in places
        )
    }
    front = quality.pareto_front(places, sign)
    assert set(front) == expected and len(front) == len(expected) > 1
    assert all(a[0] < b[0] for a, b in itertools.pairwise(front))


def test_worst_cases_have_a_front_of_their_own():
    cascade = {**ROWS[0], "method": "cascade", "calibrated_nll": 0.2, "relative_flops": 1.05}
    rows = [*ROWS, {**cascade, "worst_relative_flops": 3.0}]
    for worst, cost in ((False, 1.05), (True, 3.0)):
        chart, title = quality.draw(rows, "calibrated_nll", worst)
        lines = {line.get_label(): line.get_xydata().tolist() for line in chart.axes[0].lines}
        assert lines["cascade"] == [[cost, 0.2]]
        assert lines["Pareto front"] == [[1.0, 0.3], [cost, 0.2]]
        assert ("worst-case" in title) == worst


def test_bars_are_the_intervals():
    rows = [{**row, "intervals": {"accuracy": [0.8, 0.85 + k / 100]}} for k, row in enumerate(ROWS)]
    rows[1]["intervals"]["accuracy"] = None
    chart, _ = quality.draw(rows, "accuracy", bars=True)
    bars = [bar.get_segments()[0].tolist() for bar in chart.axes[0].collections]
    expected = [(1.0, 85), (1.1, 87), (1.5, 88)]
    assert sorted(bars) == [[[x, 80], [x, pytest.approx(y)]] for x, y in expected]
    assert not quality.draw(rows, "accuracy")[0].axes[0].collections
