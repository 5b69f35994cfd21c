"""Training curves of a stage, epoch by epoch."""

from collections.abc import Mapping, Sequence

from bridge_tf.report.charts import style

_POINTS = 200  # of a line at most
# Marks of a line, and different places of the first, so that those of close lines don't overlap.
_MARKS, _STAGGERED = 5, 4
# One for each named training, so that colour alone tells none from another.
_MARKERS = "oDs^vPX*<>"
# Letters of a name that fits into a fourth of a legend, and inches of a legend's row.
_SHORT, _ROW = 6, 0.2
LABELS = {
    "loss": "training loss (nats)",
    "accuracy": "training accuracy (%)",
    "agreement": "agreement with the member (%)",
}


@style.styled
def draw(stage: str, metric: str, histories: Mapping[str, Sequence[Sequence[float]]]):
    """A chart of one metric of one stage, and its title.

    Args:
        metric: of `LABELS`.
        histories: (epoch, value) of each training, by its name.
    """
    entries = min(len(histories), len(_MARKERS) + 1)
    columns = 2 if max(map(len, histories)) > _SHORT else 4
    chart, axes = style.figure(4.2, 3.0 + _ROW * -(-entries // columns))
    factor = 1 if metric == "loss" else 100
    values = []
    for k, (name, points) in enumerate(histories.items()):
        thinned = points[: -1 : -(-len(points) // _POINTS)] + points[-1:]
        epochs, figures = zip(*thinned, strict=True)
        figures = [factor * figure for figure in figures]
        values += figures
        axes.plot(epochs, figures, **_look(k, len(thinned), name, len(histories)))
    if metric == "loss":
        style.loss_axis(axes, values)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if max(len(points) for points in histories.values()) == 1:
        axes.set_xticks(sorted({points[0][0] for points in histories.values()}))
    axes.set(xlabel="epoch", ylabel=LABELS[metric])
    if len(histories) > 1:
        # Above the axes, so that it hides no line.
        small = {"fontsize": 9, "handlelength": 1.8, "columnspacing": 1.2, "ncols": columns}
        legend = axes.legend(title=stage, loc="lower left", bbox_to_anchor=(0, 1), **small)
        legend.set_alignment("left")
    return chart, f"{stage.capitalize()}: {LABELS[metric].partition(' (')[0]}"


def _look(k: int, points: int, name: str, number: int) -> dict:
    """Options and label of the line of training `k` of `number`."""
    if k >= len(_MARKERS):
        label = f"{number - k} more" if k == len(_MARKERS) else None
        look = {"color": style.FAINT, "linewidth": 1, "zorder": 1, "label": label}
        return {**look, "marker": "." if points == 1 else ""}
    step = max(1, points // _MARKS)
    return {
        "color": style.SERIES[k % len(style.SERIES)],
        "linewidth": 1.4,
        "marker": _MARKERS[k],
        "markersize": 5,
        "markevery": (k % _STAGGERED * step // _STAGGERED, step),
        "label": style.plain(name),
    }
