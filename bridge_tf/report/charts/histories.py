"""What the trainings of a stage reported epoch by epoch."""

from collections.abc import Mapping, Sequence

from bridge_tf.report.charts import style

# More epochs than these are thinned out; a chart has no more pixels.
_POINTS = 200
_COLOURS = (
    *(style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.INK),
)
LABELS = {
    "loss": "training loss (nats)",
    "accuracy": "training accuracy (%)",
    "agreement": "agreement with the member (%)",
}


@style.styled
def draw(stage: str, metric: str, histories: Mapping[str, Sequence[Sequence[float]]]):
    """A chart of one metric of one stage, and its title.

    Args:
        stage: "modes", "curves" or "bridges".
        metric: of `LABELS`.
        histories: (epoch, value) of each training, by its name.
    """
    chart, axes = style.figure(4.2, 3.2)
    factor = 1 if metric == "loss" else 100
    values = []
    for k, (name, points) in enumerate(histories.items()):
        thinned = points[:: -(-len(points) // _POINTS)]
        epochs, figures = zip(*thinned, strict=True)
        figures = [factor * figure for figure in figures]
        values += figures
        axes.plot(
            epochs,
            figures,
            color=_COLOURS[k % len(_COLOURS)],
            linestyle=("-", "--", "-.", ":")[k // len(_COLOURS) % 4],
            linewidth=1.4,
            marker="o" if len(thinned) == 1 else "",  # a line through one point can't be seen
            label=name if len(histories) <= 10 else None,
        )
    if metric == "loss":
        style.loss_axis(axes, values)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel(LABELS[metric])
    if 1 < len(histories) <= 10:
        axes.legend(title=stage[:-1], ncols=1 if len(histories) < 5 else 2)
    return chart, f"{stage.capitalize()}: {LABELS[metric].partition(' (')[0]}"
