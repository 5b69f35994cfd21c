"""Confusion matrices."""

from collections.abc import Sequence

import numpy as np

from bridge_tf.data.issues import printable
from bridge_tf.report.charts import style

# At most so many classes leave room for names, and for counts.
_NAMED, _COUNTED = 30, 12
_SIDE = 3.4  # width of the matrix, about, in inches


@style.styled
def draw(confusion: dict, class_names: Sequence[str], highest: float):
    """A chart of the mistakes of one row of the comparison, and its title.

    Args:
        confusion: of "confusions" of figures/data.json.
        highest: the share of the last colour, from `highest_share`.
    """
    number = len(class_names)
    counts = _matrix(confusion, number)
    chart, axes = style.figure(4.6, 5.2)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    hidden = np.eye(number, dtype=bool) | (counts == 0)
    shares = np.ma.masked_array(100 * counts / totals, mask=hidden)
    image = axes.imshow(shares, cmap=_map(), vmin=0, vmax=100 * highest)
    axes.set_facecolor("none")
    bar = chart.colorbar(image, ax=axes, location="bottom", aspect=30, extend="neither")
    bar.set_label("share of the true class's images (%)")
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(True)  # see-through stripes would show where they meet
    axes.grid(visible=False)
    axes.set(xlabel="named class", ylabel="true class")
    if number <= _NAMED:
        _name_classes(axes, class_names)
    if number <= _COUNTED:
        size = _font_size(number, len(str(counts.max())))
        for (true, top), count in np.ndenumerate(counts):
            if count:
                dark = true != top and shares[true, top] > 85 * highest
                colour = "#ffffff" if dark else style.INK
                axes.text(top, true, count, ha="center", va="center", fontsize=size, color=colour)
    return chart, f"Confusion matrix of {confusion['name']}"


def _map():
    """From nearly the page's colour, which is that of no image at all, to blue."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    return LinearSegmentedColormap.from_list(
        "shares", [to_rgba(style.BLUE, alpha) for alpha in (0.12, 1)]
    )


def highest_share(confusions: Sequence[dict], number: int) -> float:
    """The largest share of a class's images with the same wrong prediction, in (0, 1]."""
    shares = [0.01]
    for confusion in confusions:
        counts = _matrix(confusion, number)
        mistakes = counts - np.diag(np.diag(counts))
        shares.append((mistakes / np.maximum(counts.sum(axis=1, keepdims=True), 1)).max())
    return float(max(shares))


def _name_classes(axes, class_names: Sequence[str]) -> None:
    number, names = len(class_names), map(printable, class_names)
    # Both ends are kept, since names of classes often begin or end alike.
    short = [name if len(name) < 13 else f"{name[:6]}…{name[-5:]}" for name in names]
    turned = 0 if max(map(len, short)) < 3 else 90
    short, size = [style.plain(name) for name in short], _font_size(number, 1)
    axes.set_xticks(range(number), short, rotation=turned, fontsize=size)
    axes.set_yticks(range(number), short, fontsize=size)


def _font_size(number: int, letters: int) -> float:
    """The largest font size in points, so that `letters` fit in a cell."""
    cell = 72 * _SIDE / number
    return min(10, cell, cell / (0.65 * letters))


def _matrix(confusion: dict, number: int):
    counts = np.zeros((number, number), int)
    for true, top, images in confusion["cells"]:
        counts[true, top] = images
    return counts
