"""report.md, and the table that commands print."""

from bridge_tf.report import chance, deployment, prediction_sets, uncertainty
from bridge_tf.report.recommendation import recommendation
from bridge_tf.report.tables import LEGEND, bridges, comparison, curves, summary, temperatures


def render_table(report: dict) -> str:
    """The comparison as a padded Markdown table."""
    return marked_table(*comparison(report), mark_best=False)


def marked_table(headings, rows, mark_best: bool) -> str:
    """A padded table of cells that are a text and whether it is its column's best."""
    return padded_table(
        headings,
        [[f"**{text}**" if best and mark_best else text for text, best in row] for row in rows],
    )


def render_markdown(report: dict) -> str:
    """The content of report.json as a page of Markdown."""
    dataset = report["dataset"]
    lead = [*recommendation(report), *summary(report["ensembles"])]
    legend = [*LEGEND, *chance.legend(report), *uncertainty.legend(report), deployment.LEGEND]
    return "\n".join(
        [
            f"# Bridge ensembles on {dataset['name']}",
            "",
            *(f"> **Warning:** {warning}.\n" for warning in report.get("warnings", ())),
            "".join(f"**{text}**" if bold else text for text, bold in lead),
            "",
            f"{dataset['num_train']:,} training, {dataset['num_validation']:,} validation and "
            f"{dataset['num_test']:,} test images of {dataset['num_classes']} classes. One network "
            f"has {report['base']['params']:,} parameters and takes "
            f"{report['base']['flops'] / 1e6:,.2f} million FLOPs an image.",
            "",
            marked_table(*comparison(report, timed=True), mark_best=True),
            "",
            *_chance(report),
            "## Temperatures",
            "",
            padded_table(*temperatures(report["ensembles"])),
            "",
            *_deployed(report),
            *_sets(report),
            *_uncertainty(report),
            "## Bridges",
            "",
            padded_table(*bridges(report["bridges"])),
            "",
            *_curves(report),
            "## How to read this",
            "",
            "\n".join(f"- **{term}**: {text}" for term, text in legend),
            "",
        ]
    )


def _curves(report: dict) -> list[str]:
    if not report["curves"]:
        return []
    return ["## Along the curves", "", padded_table(*curves(report["curves"])), ""]


def _chance(report: dict) -> list[str]:
    table = chance.chance(report)
    return ["## Chance", "", chance.EXPLANATION, "", padded_table(*table), ""] if table else []


def _deployed(report: dict) -> list[str]:
    early, files = deployment.early_exit(report), deployment.artifacts(report)
    lines = [early, "", padded_table(*deployment.going_on(report)), ""] if early else []
    if table := deployment.cascades(report):
        lines += ["## Cascades", "", padded_table(*table), ""]
    return [*lines, "## Exported files", "", padded_table(*files), ""] if files else lines


def _uncertainty(report: dict) -> list[str]:
    lines = []
    if table := uncertainty.uncertainty(report):
        lines += ["## Uncertainty", "", padded_table(*table), ""]
    if text := uncertainty.other_data(report):
        lines += [text, ""]
    if tables := uncertainty.corruptions(report):
        lines += ["## Corrupted images", "", uncertainty.corrupted(report), ""]
    for caption, table in tables:
        lines += [f"{caption}:", "", padded_table(*table), ""]
    return lines


def _sets(report: dict) -> list[str]:
    table, text = prediction_sets.prediction_sets(report), prediction_sets.explanation(report)
    return ["## Prediction sets", "", text, "", padded_table(*table), ""] if table else []


def padded_table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, padded for the terminal; all columns but the first are right-aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = []
    for first, *others in (headings, rule, *rows):
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(f"| {' | '.join([first.ljust(widths[0]), *cells])} |")
    return "\n".join(lines)
