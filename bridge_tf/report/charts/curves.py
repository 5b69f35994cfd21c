"""Loss and accuracy along a curve, beside the straight line between its ends."""

import math
from collections.abc import Sequence

from bridge_tf.report.charts import style
from bridge_tf.report.tables import curve_name


@style.styled
def draw(curve: dict, line: dict, shown: Sequence[tuple[dict, dict]]):
    """A chart of one curve, and its title.

    Args:
        curve: of "curves" of report.json.
        line: of "lines" of figures/data.json; None, where nothing could be measured, is a gap.
        shown: all pairs of curve and line that are drawn, whose axes are to be alike.
    """
    chart, (above, below) = style.figure(4.2, 4.0, rows=2, sharex=True)
    for axes, key, factor, label in (
        (above, "nll", 1, "NLL (nats)"),
        (below, "accuracy", 100, "accuracy (%)"),
    ):
        for name, path, colour, marker, dashes in (
            ("straight line", line, style.BLUE, "o", "--"),
            ("curve", curve, style.VERMILION, "D", "-"),
        ):
            axes.plot(
                [point["r"] for point in path["points"]],
                _values(path, key, factor),
                color=colour,
                marker=marker,
                linestyle=dashes,
                label=name,
            )
        paths = [path for pair in shown for path in pair]
        values = [value for path in paths for value in _values(path, key, factor)]
        _limit(axes, key, [value for value in values if math.isfinite(value)])
        axes.set_ylabel(label)
    above.legend()
    below.set_xlabel(f"position r, from mode {curve['curve'][0]} to mode {curve['curve'][1]}")
    below.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    return chart, f"Along the curve {curve_name(curve)}"


def _limit(axes, key: str, values: Sequence[float]) -> None:
    if not values:
        return
    if key == "nll":
        style.loss_axis(axes, values)
    # Limits alike on all curves, with the margin that the axis, linear or not, would take.
    axes.plot([0.5, 0.5], [min(values), max(values)], alpha=0)


def _values(path: dict, key: str, factor: float) -> list[float]:
    """The figures of a path; NaN, of which a chart makes a gap, for None."""
    values = (point[key] for point in path["points"])
    return [math.nan if value is None else factor * value for value in values]
