"""Calibrated NLL over the average cost of cascades, whatever their thresholds."""

from collections.abc import Sequence

from bridge_tf.report.charts import style
from bridge_tf.report.charts.quality import KINDS, cost_axis

_POINTS = ("single", "deep_ensemble", "bridge")


@style.styled
def draw(cascades: Sequence[dict], rows: Sequence[dict]):
    """A chart of "cascades" of report.json, with the rows that they are made of, and its title.

    A curve has the colour of its method; it ends at what all of its images go on to.
    """
    chart, axes = style.figure(4.8, 4.2)
    costs = [point["average_flops"] for cascade in cascades for point in cascade["points"]]
    named: set[str] = set()
    for cascade in cascades:
        method, points = cascade["name"].rpartition("_")[0], cascade["points"]
        axes.plot(
            [point["average_flops"] for point in points],
            [point["calibrated_nll"] for point in points],
            color=style.METHODS.get(method, (style.INK,))[0],
            linewidth=1.2,
            label=None if method in named else style.plain(method.replace("_", " ")),
        )
        named.add(method)
    for method in _POINTS:
        own = [row for row in rows if row["method"] == method]
        if not own:
            continue
        costs += [row["relative_flops"] for row in own]
        colour, marker = style.METHODS[method]
        axes.plot(
            [row["relative_flops"] for row in own],
            [row["calibrated_nll"] for row in own],
            color=colour,
            marker=marker,
            markersize=11 if method == "single" else 6,
            linestyle="none",
            zorder=4,
            label=method.replace("_", " "),
        )
    cost_axis(axes, max(costs))
    axes.set_ylabel(KINDS["calibrated_nll"][0])
    chart.legend(loc="outside lower center", ncols=3, fontsize=9)
    return chart, "Cascades of any threshold: calibrated NLL over average cost"
