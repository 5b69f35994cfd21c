"""Confusion matrices."""

from collections.abc import Sequence

from bridge_tf.report.charts import style

# More classes than these have no room for names, and more than those none for counts.
_NAMED, _COUNTED = 30, 12


@style.styled
def draw(confusion: dict, class_names: Sequence[str], highest: float):
    """A chart of the mistakes of one row of the comparison, and its title.

    Args:
        confusion: of "confusions" of figures/data.json.
        class_names: one a class.
        highest: the share at which the colours end, as by `highest_share`.
    """
    import numpy as np

    number = len(class_names)
    counts = _matrix(confusion, number)
    chart, axes = style.figure(5.0, 4.4)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.ma.masked_array(100 * counts / totals, mask=np.eye(number, dtype=bool))
    image = axes.imshow(shares, cmap=style.SEQUENTIAL, vmin=0, vmax=100 * highest)
    axes.set_facecolor("none")
    bar = chart.colorbar(image, ax=axes, shrink=0.85, extend="neither")
    bar.set_label("share of the true class's images (%)")
    bar.outline.set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel("named class")
    axes.set_ylabel("true class")
    if number <= _NAMED:
        short = [name if len(name) < 13 else f"{name[:11]}…" for name in class_names]
        turned = 0 if max(map(len, short)) < 3 else 90
        short = [style.plain(name) for name in short]
        axes.set_xticks(range(number), short, rotation=turned, fontsize=8)
        axes.set_yticks(range(number), short, fontsize=8)
    if number <= _COUNTED:
        for (true, named), count in np.ndenumerate(counts):
            if count:
                dark = true != named and shares[true, named] < 50 * highest
                colour = style.INK if true == named else "#ffffff" if dark else "#000000"
                axes.text(named, true, count, ha="center", va="center", fontsize=8, color=colour)
    return chart, f"Confusion matrix of {confusion['name']}"


def highest_share(confusions: Sequence[dict], number: int) -> float:
    """The largest share of a class's images that is taken for one other class, in (0, 1]."""
    import numpy as np

    shares = [0.01]
    for confusion in confusions:
        counts = _matrix(confusion, number)
        mistakes = counts - np.diag(np.diag(counts))
        shares.append((mistakes / np.maximum(counts.sum(axis=1, keepdims=True), 1)).max())
    return float(max(shares))


def _matrix(confusion: dict, number: int):
    import numpy as np

    counts = np.zeros((number, number), int)
    true, named, images = np.array(confusion["cells"], int).T
    counts[true, named] = images
    return counts
