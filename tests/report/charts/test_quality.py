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
    for line in others:
        assert tuple(line.get_xydata()[0]) == (1, 90)


def test_methods_are_named_as_they_are():
    assert ">a$b$<" in style.to_svg(*quality.draw(ROWS, "accuracy"))
