"""Reliability diagrams, before and after temperature scaling."""

import math

from bridge_tf.report.charts import style

# Below so many images, a bin's place says little: half of its 95 % interval may be 0.3.
FEW = 10


@style.styled
def draw(row: dict):
    """A chart of one row of "reliability" of figures/data.json, and its title."""
    chart, axes = style.figure(4.0, 4.0)
    axes.plot([0, 1], [0, 1], color=style.FAINT, linestyle=":", label="as sure as right")
    images = max(1, sum(point["images"] for point in row["before"]))
    for kind, colour, marker in (("before", style.ORANGE, "o"), ("after", style.BLUE, "D")):
        points = row[kind]
        confidence = [point["confidence"] for point in points]
        accuracy = [point["accuracy"] for point in points]
        axes.plot(confidence, accuracy, color=colour, linewidth=1.2)
        # The area grows with the root of a bin's share, so that few images still show.
        sizes = [12 + 150 * math.sqrt(point["images"] / images) for point in points]
        faces = ["none" if point["images"] < FEW else colour for point in points]
        look = {"marker": marker, "alpha": 0.75, "edgecolors": colour, "linewidths": 1}
        axes.scatter(confidence, accuracy, sizes, facecolors=faces, **look)
        axes.scatter([], [], 40, color=colour, label=f"{kind} temperature scaling", **look)
    axes.scatter([], [], 40, "none", edgecolors=style.INK, label=f"fewer than {FEW} images")
    axes.set(xlim=(0, 1.03), ylim=(0, 1.05))
    axes.set(xlabel="probability of the top class (mean of a bin)", ylabel="share that is right")
    # Above the axes, so that it hides no bin.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9)
    return chart, f"Reliability of {row['name']}"
