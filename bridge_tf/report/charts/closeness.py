"""The KL of each bridge from the curve member that it predicts."""

from collections.abc import Sequence

from bridge_tf.config.names import pair_name
from bridge_tf.report.charts import style


@style.styled
def draw(bridges: Sequence[dict]):
    """A chart of all `bridges` of report.json, and its title."""
    chart, axes = style.figure(5.2, 1.6 + 0.34 * len(bridges))
    places = range(len(bridges))
    bridge, base = ([row[key] for row in bridges] for key in ("kl", "kl_base"))
    axes.hlines(places, bridge, base, color=style.FAINT, linewidth=2, zorder=1)
    axes.scatter(base, places, color=style.INK, marker="*", s=80, label="base")
    axes.scatter(bridge, places, color=style.VERMILION, marker="D", s=36, label="bridge")
    names = [f"{pair_name(row['curve'])}, r = {row['r']:g}" for row in bridges]
    agree = [f"{100 * row['agreement']:.1f} % agree" for row in bridges]
    axes.set_yticks(places, [f"{name}\n{share}" for name, share in zip(names, agree, strict=True)])
    axes.set_ylim(len(bridges) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("KL from the curve member's prediction (nats)")
    axes.grid(axis="y", visible=False)
    # Above the axes, so that it hides no bridge.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return chart, "Bridges and the members that they follow"
