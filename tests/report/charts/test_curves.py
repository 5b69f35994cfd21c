import math

import pytest

from bridge_tf.report.charts import curves, style


def path(*nll):
    positions = [k / (len(nll) - 1) for k in range(len(nll))]
    return {
        "curve": [0, 1],
        "points": [
            {"r": r, "nll": value, "accuracy": None if value is None else 1 - value / 4}
            for r, value in zip(positions, nll, strict=True)
        ],
    }


@pytest.mark.parametrize("line", [(0.2, None, 0.3), (None, None, None)])
def test_what_could_not_be_measured_is_a_gap(line):
    curve, line = path(0.2, 0.1, 0.3), path(*line)
    chart, title = curves.draw(curve, line, [(curve, line)])
    for axes, key, factor in zip(chart.axes, ("nll", "accuracy"), (1, 100), strict=True):
        drawn = axes.lines[0].get_ydata()
        for point, value in zip(line["points"], drawn, strict=True):
            if point[key] is None:
                assert math.isnan(value)
            else:
                assert value == pytest.approx(factor * point[key])
        assert all(map(math.isfinite, axes.get_ylim()))
    assert title == "Along the curve 0-1"
    assert "nan" not in style.to_svg(chart, title)


def test_limits_take_in_all_curves_and_skip_gaps():
    shown = [(path(0.2, 0.1), path(0.2, None)), (path(0.2, 0.1), path(None, 9.0))]
    for curve, line in shown:
        chart, _ = curves.draw(curve, line, shown)
        low, high = chart.axes[0].get_ylim()
        assert low < 0.1 and high > 9 and chart.axes[0].get_yscale() == "log"
