"""report.html: the whole report as one self-contained page."""

import functools
import re
from collections.abc import Sequence

from bridge_tf.config import INDECISIVE
from bridge_tf.data.issues import printable
from bridge_tf.report import chance, deployment, prediction_sets, tables, uncertainty
from bridge_tf.report.charts import reliability, style
from bridge_tf.report.figures import Figure
from bridge_tf.report.recommendation import recommendation


def render_html(report: dict, details: dict, config: dict, figures: Sequence[Figure]) -> str:
    """A page of the contents of report.json, figures/data.json and config.json, and figures.

    It is one file without scripts or requests.
    """
    by_section: dict[str, list] = {}
    for figure in figures:
        shown = {"title": figure.title, "svg": style.for_page(figure.svg)}
        by_section.setdefault(figure.section, []).append(shown)
    class_names = [printable(name) for name in details["class_names"]]
    return template("report").render(
        report=report,
        details=details,
        config=config,
        class_names=class_names,
        # Paths don't change the figures and are private.
        settings={k: v for k, v in config["flags"].items() if k not in INDECISIVE},
        figures=by_section,
        summary=[*recommendation(report), *tables.summary(report["ensembles"])],
        comparison=tables.comparison(report, timed=True),
        chance=chance.chance(report),
        chance_explained=chance.EXPLANATION,
        bridges=tables.bridges(report["bridges"]),
        curves=tables.curves(report["curves"]),
        lines=tables.curves(details["lines"]),
        gaps=any(point["nll"] is None for line in details["lines"] for point in line["points"]),
        early_exit=deployment.early_exit(report),
        going_on=deployment.going_on(report),
        artifacts=deployment.artifacts(report),
        cascades=deployment.cascades(report),
        prediction_sets=prediction_sets.prediction_sets(report),
        about_sets=prediction_sets.explanation(report),
        temperatures=tables.temperatures(report["ensembles"]),
        uncertainty=uncertainty.uncertainty(report),
        other_data=uncertainty.other_data(report),
        corruptions=uncertainty.corruptions(report),
        corrupted=uncertainty.corrupted(report) if "corruptions" in report else "",
        opening=tables.OPENING,
        terms={
            "comparison": [*tables.COMPARED, deployment.LEGEND, *chance.legend(report)],
            "bridges": tables.OF_BRIDGES,
            "uncertainty": uncertainty.legend(report),
        },
        few=reliability.FEW,
        confused=_most_confused(details["confusions"], class_names),
    )


@functools.cache
def template(name: str):
    """The template of a page, by its name."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bridge_tf.report", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["with_code"] = _with_code
    return environment.get_template(f"{name}.html.jinja")


def _with_code(text: str):
    """Markup of a text, with `<code>` for what stands in backticks."""
    import markupsafe

    escaped = str(markupsafe.escape(text))
    return markupsafe.Markup(re.sub("`([^`]*)`", r"<code>\1</code>", escaped))


def _most_confused(confusions: Sequence[dict], names: Sequence[str]) -> list[tuple]:
    """The 8 most frequent (true class, predicted class, images of base, images of ensemble)."""
    if len(confusions) != 2:
        return []
    base, ensemble = (
        {(true, top): images for true, top, images in confusion["cells"] if true != top}
        for confusion in confusions
    )
    pairs = sorted(base | ensemble, key=lambda pair: (-base.get(pair, 0), pair))[:8]
    return [(*(names[k] for k in x), base.get(x, 0), ensemble.get(x, 0)) for x in pairs]
