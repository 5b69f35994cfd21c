"""How close each bridge is to the curve member that it follows."""

from collections.abc import Sequence

from bridge_tf.report.charts import style
from bridge_tf.report.tables import curve_name


@style.styled
def draw(bridges: Sequence[dict]):
    """A chart of all bridges, and its title.

    Args:
        bridges: of report.json.
    """
    chart, axes = style.figure(5.2, 1.6 + 0.34 * len(bridges))
    places = range(len(bridges))
    bridge = [row["kl"] for row in bridges]
    base = [row["kl_base"] for row in bridges]
    axes.hlines(places, bridge, base, color=style.FAINT, linewidth=2, zorder=1)
    axes.scatter(base, places, color=style.INK, marker="*", s=80, label="base")
    axes.scatter(bridge, places, color=style.VERMILION, marker="D", s=36, label="bridge")
    axes.set_yticks(
        places,
        [
            f"{curve_name(row)}, r = {row['r']:g}\n{100 * row['agreement']:.1f} % agree"
            for row in bridges
        ],
    )
    axes.set_ylim(len(bridges) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("KL from the curve member's prediction (nats)")
    axes.grid(axis="y", visible=False)
    # Above the axes, where no bridge can be.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return chart, "Bridges and the members that they follow"
