from bridge_tf.report.charts import histories


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
    assert line.get_marker() == "o" and list(line.get_ydata()) == [50]
    axes, _ = drawn("accuracy", {"0": [(1, 0.5), (2, 0.75)]})
    assert axes.lines[0].get_marker() == ""
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_long_histories_are_thinned_out():
    axes, _ = drawn("loss", {"0": [(k, 1.0) for k in range(1, 1001)]})
    assert len(axes.lines[0].get_xdata()) == 200
