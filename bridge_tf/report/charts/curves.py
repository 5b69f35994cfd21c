"""Loss and accuracy along a curve, beside the straight line between its ends."""

from collections.abc import Sequence

from bridge_tf.report.charts import style


@style.styled
def draw(curve: dict, line: dict, shown: Sequence[tuple[dict, dict]]):
    """A chart of one curve, and its title.

    Args:
        curve: of "curves" of report.json.
        line: of "lines" of figures/data.json.
        shown: all pairs of curve and line that are drawn, whose axes are to be alike.
    """
    pair = "–".join(map(str, curve["curve"]))
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
                [factor * point[key] for point in path["points"]],
                color=colour,
                marker=marker,
                linestyle=dashes,
                label=name,
            )
        values = [
            factor * point[key] for paths in shown for path in paths for point in path["points"]
        ]
        if key == "nll":
            style.loss_axis(axes, values)
        # Limits alike on all curves, with the margin that the axis, linear or not, would take.
        axes.plot([0.5, 0.5], [min(values), max(values)], alpha=0)
        axes.set_ylabel(label)
    above.legend()
    below.set_xlabel(f"position r, from mode {curve['curve'][0]} to mode {curve['curve'][1]}")
    below.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    return chart, f"Along the curve {pair}"
