import pytest

from bridge_tf.report.charts import histories, style


def drawn(metric: str, points: dict):
    chart, title = histories.draw("modes", metric, points)
    return chart.axes[0], title


def test_each_training_has_its_line():
    falling = [(k, 1 / k) for k in range(1, 51)]
    axes, title = drawn("loss", {"0": falling, "1": [(k, 2 * v) for k, v in falling]})
    assert title == "Modes: training loss"
    first, second = axes.lines
    assert list(first.get_xdata()) == list(range(1, 51))
    assert second.get_ydata()[0] == 2
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1"]


def test_one_epoch_is_a_point_and_epochs_are_whole():
    axes, _ = drawn("accuracy", {"0": [(1, 0.5)]})
    (line,) = axes.lines
    assert list(axes.get_xticks()) == [1]
    assert line.get_marker() == "o" and list(line.get_ydata()) == [50]
    axes, _ = drawn("accuracy", {"0": [(1, 0.5), (2, 0.75)]})
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_trainings_are_told_apart_without_colour():
    falling = [(k, 1 / k) for k in range(1, 51)]
    axes, _ = drawn("loss", {str(k): falling for k in range(10)})
    assert len({line.get_marker() for line in axes.lines} - {"", "None"}) == 10
    # Even of lines on top of each other, neighbours have their marks at different epochs.
    first, second = (line.get_markevery() for line in axes.lines[:2])
    assert first[0] != second[0] and first[1] == second[1]
    assert 2 <= 50 // first[1] <= 10


def test_what_the_legend_does_not_name_is_counted():
    axes, _ = drawn("loss", {str(k): [(1, 2.0), (2, 1.0)] for k in range(14)})
    assert len(axes.lines) == 14
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == [*map(str, range(10)), "4 more"]


def test_names_are_shown_as_they_are():
    chart, title = histories.draw("modes", "loss", {"a$b$": [(1, 1.0)], "c": [(1, 2.0)]})
    svg = style.to_svg(chart, title)
    assert ">a$b$<" in svg


@pytest.mark.parametrize("epochs", [1, 2, 199, 200, 201, 1000])
def test_long_histories_are_thinned_but_not_cut(epochs):
    points = [(k, 1 / k) for k in range(1, epochs + 1)]
    axes, _ = drawn("loss", {"0": points})
    found = list(axes.lines[0].get_xdata())
    assert found[0] == 1 and found[-1] == epochs and len(found) == len(set(found)) <= 201
