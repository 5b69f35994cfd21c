"""All figures of a report, in the order of its page."""

import dataclasses
from collections.abc import Iterator, Sequence

from bridge_tf.config.names import pair_name
from bridge_tf.report.charts import (
    cascades,
    closeness,
    confusion,
    curves,
    histories,
    loss_plane,
    quality,
    reliability,
    style,
)

_CURVES = 12  # at most on a page


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of a section of the page, from `style.to_svg`; its file is NAME.svg."""

    section: str
    name: str
    title: str
    svg: str


def draw_figures(report: dict, details: dict, planes: Sequence[dict] = ()) -> list[Figure]:
    """Draws the contents of report.json, figures/data.json and figures/loss_plane_I-J.json."""
    return [
        Figure(section, name, title, style.to_svg(chart, title))
        for section, name, (chart, title) in _charts(report, details, planes)
    ]


def _charts(report: dict, details: dict, planes: Sequence[dict]) -> Iterator[tuple]:
    """(section, name, (chart, title)) of each figure."""
    rows = report["ensembles"]
    for key in quality.KINDS:
        yield "quality", f"quality_{key}", quality.draw(rows, key)
    if any(quality.worst_cost(row) > row["relative_flops"] for row in rows):
        for key in quality.KINDS:
            yield "quality", f"worst_{key}", quality.draw(rows, key, worst=True)
    if report.get("cascades"):
        yield "quality", "cascades", cascades.draw(report["cascades"], rows)
    if report["bridges"]:
        yield "bridges", "bridges", closeness.draw(report["bridges"])
    shown = list(zip(report["curves"], details["lines"], strict=True))[:_CURVES]
    for curve, line in shown:
        yield "curves", f"curve_{pair_name(curve['curve'])}", curves.draw(curve, line, shown)
    for plane in planes:
        yield "plane", f"loss_plane_{pair_name(plane['curve'])}", loss_plane.draw(plane)
    names = [confused["name"] for confused in details["confusions"]]
    largest = [row["name"] for row in rows if row["method"] == "deep_ensemble"][-1:]
    for row in details["reliability"]:
        if row["name"] in [*names, *largest]:
            yield "reliability", f"reliability_{row['name']}", reliability.draw(row)
    highest = confusion.highest_share(details["confusions"], len(details["class_names"]))
    for confused in details["confusions"]:
        chart = confusion.draw(confused, details["class_names"], highest)
        yield "confusion", f"confusion_{confused['name']}", chart
    for stage in ("modes", "curves", "bridges", "baselines"):
        for metric in histories.LABELS:
            found = {
                run.partition("/")[2]: metrics[metric]
                for run, metrics in details["histories"].items()
                if run.startswith(f"{stage}/") and metrics.get(metric)
            }
            if found:
                yield "histories", f"history_{stage}_{metric}", histories.draw(stage, metric, found)
