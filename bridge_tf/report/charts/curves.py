"""Loss and accuracy along a curve, beside the straight line between its ends."""

import math
from collections.abc import Sequence

from bridge_tf.config.names import pair_name
from bridge_tf.report.charts import style


@style.styled
def draw(curve: dict, line: dict, shown: Sequence[tuple[dict, dict]]):
    """A chart of one curve, and its title.

    Args:
        curve: of "curves" of report.json.
        line: of "lines" of figures/data.json; None, where nothing could be measured, is a gap.
        shown: all pairs of curve and line on the page, whose axes get the same limits.
    """
    chart, (above, below) = style.figure(4.2, 4.0, rows=2, sharex=True)
    for axes, key, factor, label in (
        (above, "nll", 1, "NLL (nats)"),
        (below, "accuracy", 100, "accuracy (%)"),
    ):
        for name, path, look in (
            ("straight line", line, {"color": style.BLUE, "marker": "o", "linestyle": "--"}),
            ("curve", curve, {"color": style.VERMILION, "marker": "D", "linestyle": "-"}),
        ):
            positions = [point["r"] for point in path["points"]]
            axes.plot(positions, _values(path, key, factor), label=name, **look)
        paths = [path for pair in shown for path in pair]
        values = [value for path in paths for value in _values(path, key, factor)]
        if finite := [value for value in values if math.isfinite(value)]:
            if key == "nll":
                style.loss_axis(axes, finite)
            # Invisible, for the same limits on all curves, with the margins of either axis.
            axes.plot([0.5, 0.5], [min(finite), max(finite)], alpha=0)
        axes.set_ylabel(label)
    above.legend()
    below.set_xlabel(f"position r, from mode {curve['curve'][0]} to mode {curve['curve'][1]}")
    below.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    return chart, f"Along the curve {pair_name(curve['curve'])}"


def _values(path: dict, key: str, factor: float) -> list[float]:
    """The figures of a path; NaN, which leaves a gap in a chart, for None."""
    values = (point[key] for point in path["points"])
    return [math.nan if value is None else factor * value for value in values]
