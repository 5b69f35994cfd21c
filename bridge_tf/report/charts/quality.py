"""Quality over cost of each way of ensembling."""

from collections.abc import Sequence

from bridge_tf.report.charts import style

# Key of report.json: label, factor, whether higher (1) or lower (-1) is better, the chart's name.
KINDS = {
    "calibrated_nll": ("calibrated NLL (nats)", 1, -1, "Calibrated NLL"),
    "accuracy": ("accuracy (%)", 100, 1, "Accuracy"),
}
_TICKS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_POINTS = (
    "single",
    "cascade",
    "bridge_cascade",
    "student_cascade",
)  # methods that aren't joined by a line


@style.styled
def draw(rows: Sequence[dict], key: str, worst: bool = False, bars: bool = False):
    """A chart of a figure of `KINDS` over relative FLOPs, a series a method, and its title.

    The cost is the average over images, or that of the image that costs most (`worst`). `bars`
    draws the rows' intervals.
    """
    label, factor, sign, title = KINDS[key]
    costs = [worst_cost(row) if worst else row["relative_flops"] for row in rows]
    places = [(cost, factor * row[key]) for cost, row in zip(costs, rows, strict=True)]
    chart, axes = style.figure(4.8, 4.2)
    others = iter(style.OTHERS * len(rows))
    methods = [row["method"] for row in rows]
    for method in dict.fromkeys(methods):
        colour, marker = style.METHODS.get(method) or next(others)
        own = [place for place, other in zip(places, methods, strict=True) if other == method]
        points = method in _POINTS
        if not points:
            own = [places[0], *own]  # every series begins at the single network
        bridge = method == "bridge"
        axes.plot(
            *zip(*own, strict=True),
            color=colour,
            marker=marker,
            markevery=None if points else slice(1, None),
            markersize=11 if method == "single" else 6,
            linewidth=2.6 if bridge else 1.4,
            linestyle="none" if points else "-" if bridge else "--",
            zorder=4 if bridge else 5 if points else 3,
            label=style.plain(method.replace("_", " ")),
        )
        if bars:
            of_method = [k for k, other in enumerate(methods) if other == method]
            known = [(costs[k], ends) for k in of_method if (ends := rows[k]["intervals"][key])]
            for cost, (low, high) in known:
                axes.vlines(cost, factor * low, factor * high, colour, linewidth=1, alpha=0.6)
    front = zip(*pareto_front(places, sign), strict=True)
    look = {"color": style.FAINT, "linewidth": 4, "zorder": 1}
    axes.step(*front, where="post", label="Pareto front", **look)
    cost_axis(axes, max(costs))
    axes.set_ylabel(label)
    # Below the axes, so that it hides no row.
    chart.legend(loc="outside lower center", ncols=3, fontsize=9)
    return chart, f"{title} over {'worst-case ' if worst else ''}cost"


def worst_cost(row: dict) -> float:
    """FLOPs of the image that costs most, relative to one network."""
    return row.get("worst_relative_flops", row["relative_flops"])


def pareto_front(places: Sequence[tuple[float, float]], sign: int) -> list[tuple[float, float]]:
    """The (cost, quality) to which no other is at least equal in both and better in one.

    They are in the order of their costs. `sign` is 1 if a higher quality is better, or -1.
    """
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(set(places), key=lambda place: (place[0], -sign * place[1])):
        if not front or sign * quality > sign * front[-1][1]:
            front.append((cost, quality))
    return front


def cost_axis(axes, highest: float) -> None:
    """The x-axis of costs up to `highest`; logarithmic if they are high."""
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
