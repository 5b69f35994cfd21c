"""Loss over the plane through two modes and their curve: Garipov et al., NeurIPS 2018, figure 1."""

import numpy as np

from bridge_tf.config.names import pair_name
from bridge_tf.report.charts import style

# Fixed, as the colours of the map are on light and dark pages.
_LIGHT, _DARK = "#ffffff", "#1b1b1b"
_LETTERS = 46  # that fit below the colour bar


@style.styled
def draw(plane: dict):
    """A map of the loss from `measure_plane`, and its title."""
    i, j = plane["curve"]
    nll = np.array(plane["nll"], "float64")
    (left, *_, right), (bottom, *_, top) = plane["x"], plane["y"]
    # The map is about 4.1 inches wide; the rest is for labels and the legend.
    chart, axes = style.figure(4.8, 4.1 * (top - bottom) / (right - left) + 1.8)
    chart.set_layout_engine("compressed")
    title = f"Loss over the plane of the curve {pair_name(plane['curve'])}"
    if np.isfinite(nll).any():
        levels = _levels(nll[np.isfinite(nll)])
        _draw_map(chart, axes, plane, np.nan_to_num(nll, nan=np.inf), levels)
    else:
        axes.set_title("no point of the plane has a finite loss")
        axes.set(xlim=(left, right), ylim=(bottom, top))
        title += ": finite nowhere"
    projected = plane["out_of_plane"] > 0.01 * plane["distance"]
    path = ([point[axis] for point in plane["path"]] for axis in ("x", "y"))
    _draw_line(axes, *path, label="curve, projected" if projected else "curve")
    start, end, control = (plane["points"][name] for name in ("start", "end", "control"))
    _draw_line(axes, *zip(start, end, strict=True), linestyle=(0, (4, 3)), label="straight line")
    _mark(axes, start, f"mode {i}")
    _mark(axes, end, f"mode {j}")
    _mark(axes, control, "control point", "D", above=True)
    axes.set(aspect="equal", xlabel="distance in weight space, on both axes")
    axes.grid(False)
    legend = chart.legend(
        loc="outside upper left", ncols=2, handlelength=3, frameon=False, labelcolor=style.INK
    )
    for line in legend.get_lines():
        line.set(color=style.INK, path_effects=[])  # white may not show on the page
    return chart, title


def _levels(nll: np.ndarray) -> np.ndarray:
    """Borders of the colours: the minimum, then steps of 1 to 100 % of the range, log-spaced."""
    low, high = nll.min(), np.percentile(nll, 90)
    span = max(high - low, 1e-6 * max(low, 1))
    return np.array([low, *(low + np.geomspace(0.01 * span, span, 14))])


def _draw_map(chart, axes, plane: dict, nll: np.ndarray, levels: np.ndarray) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    colours = colormaps[style.SEQUENTIAL]
    norm = BoundaryNorm(levels, colours.N, extend="max")
    look = {"levels": levels, "cmap": colours, "norm": norm, "extend": "max"}
    filled = axes.contourf(plane["x"], plane["y"], np.minimum(nll, 2 * levels[-1]), **look)
    filled.set(edgecolor="face", linewidth=0.4)  # no seams between the colours
    bar = chart.colorbar(filled, ax=axes, location="bottom", aspect=30)
    ticks = _ticks(levels)
    bar.set_ticks(list(ticks), labels=list(ticks.values()), minor=False)
    bar.minorticks_off()
    bar.set_label(f"NLL of {plane['images']:,} test images (nats)", color=style.INK)
    bar.outline.set_edgecolor(style.INK)
    bar.ax.tick_params(color=style.INK, labelcolor=style.INK)


def _ticks(levels: np.ndarray) -> dict[float, str]:
    """As many levels as fit, in the fewest digits (at least 2) that differ."""
    for step in (2, 7, 14):
        shown = levels[::step]
        for digits in range(2, 17):
            labels = [_number(level, digits) for level in shown]
            if len(set(labels)) == len(labels):
                break
        if sum(map(len, labels)) + len(labels) <= _LETTERS:
            break
    return dict(zip(shown.tolist(), labels, strict=True))


def _number(value: float, digits: int) -> str:
    if 1e-4 <= value < 1e5:
        return np.format_float_positional(value, digits, fractional=False, trim="-")
    return f"{value:.{digits}g}"


def _draw_line(axes, x, y, **options) -> None:
    from matplotlib.patheffects import Normal, Stroke

    outlined = [Stroke(linewidth=4, foreground=_DARK), Normal()]
    axes.plot(x, y, color=_LIGHT, linewidth=2, path_effects=outlined, **options)


def _mark(axes, point, name: str, marker: str = "o", above: bool = False) -> None:
    """Marks and names a point of the plane."""
    axes.plot(*point, marker, color=_LIGHT, markeredgecolor=_DARK, markersize=9, zorder=4)
    axes.annotate(
        name,
        point,
        xytext=(0, 9 if above else -9),
        textcoords="offset points",
        horizontalalignment="center",
        verticalalignment="bottom" if above else "top",
        color=_DARK,
        zorder=5,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": _LIGHT, "edgecolor": "none", "alpha": 0.85},
    )
