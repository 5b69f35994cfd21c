"""Quality over cost of each way of ensembling."""

from collections.abc import Sequence

from bridge_tf.report.charts import style

# Key of report.json: label, factor, name of the chart.
KINDS = {
    "calibrated_nll": ("calibrated NLL (nats)", 1, "Calibrated NLL over cost"),
    "accuracy": ("accuracy (%)", 100, "Accuracy over cost"),
}
_TICKS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


@style.styled
def draw(rows: Sequence[dict], key: str):
    """A chart of a figure of `KINDS` over relative FLOPs, a series a method, and its title."""
    label, factor, title = KINDS[key]
    chart, axes = style.figure(4.8, 3.6)
    others = iter(style.OTHERS * len(rows))
    single = rows[0]
    for method in dict.fromkeys(row["method"] for row in rows):
        colour, marker = style.METHODS.get(method) or next(others)
        own = [row for row in rows if row["method"] == method]
        if method != "single":
            own = [single, *own]  # every series begins at the single network
        bridge = method == "bridge"
        axes.plot(
            [row["relative_flops"] for row in own],
            [factor * row[key] for row in own],
            color=colour,
            marker=marker,
            markevery=None if method == "single" else slice(1, None),
            markersize=11 if method == "single" else 6,
            linewidth=2.6 if bridge else 1.4,
            linestyle="none" if method == "single" else "-" if bridge else "--",
            zorder=4 if bridge else 5 if method == "single" else 3,
            label=style.plain(method.replace("_", " ")),
        )
    _cost_axis(axes, max(row["relative_flops"] for row in rows))
    axes.set_ylabel(label)
    axes.legend()
    return chart, title


def _cost_axis(axes, highest: float) -> None:
    axes.set_xlabel("FLOPs of one image, relative to one network (×)")
    axes.xaxis.set_major_formatter("{x:g}")
    if highest <= 8:  # on a linear axis bridges would overlap at higher costs
        return
    axes.set_xscale("log")
    ticks = [tick for tick in _TICKS if tick <= 1.05 * highest]
    # Beyond the list only the ends have ticks.
    ticks = ticks if highest <= _TICKS[-1] else [1, highest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("FLOPs of one image, relative to one network (×), logarithmic")
