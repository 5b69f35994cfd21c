"""The files of a report of several runs: report.json, report.md and report.html."""

import os
import pathlib

from bridge_tf.report import chance, pooled
from bridge_tf.report.charts import quality, style
from bridge_tf.report.html import template
from bridge_tf.report.reader import read_pooled
from bridge_tf.report.tables import OPENING
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_writable, json_text, replacing

_NAMES = ("report.json", "report.md", "report.html")


def check_output(output: str | os.PathLike) -> pathlib.Path:
    """The folder, if a report of several runs can be written to it.

    Raises:
        InputError: it can't, or it holds a report of something else, which is kept.
    """
    folder = check_writable("output", output)
    if any(os.path.lexists(folder / name) for name in (*_NAMES, "config.json", "manifest.json")):
        try:
            read_pooled(folder / _NAMES[0])
        except InputError:
            raise InputError(
                f"`output={output}`: holds files that aren't a report of several runs; name "
                "another folder"
            ) from None
    return folder


def write_pooled(folder: pathlib.Path, report: dict) -> None:
    """Writes report.json and its pages, each of them whole or not at all."""
    texts = [
        json_text(report, _NAMES[0]),
        pooled.render_pooled_markdown(report),
        render_pooled_html(report),
    ]
    for name, text in zip(_NAMES, texts, strict=True):
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def render_pooled_html(report: dict) -> str:
    """The report as one page without scripts or requests."""
    charts = [quality.draw(report["ensembles"], key, bars=True) for key in quality.KINDS]
    return template("pooled").render(
        report=report,
        figures=[
            {"title": title, "svg": style.for_page(style.to_svg(chart, title))}
            for chart, title in charts
        ],
        lead=pooled.lead(report),
        left_out=pooled.left_out(report),
        comparison=pooled.comparison(report),
        explanation=pooled.explanation(report),
        both=chance.chance(report),
        of_images=pooled.of_images(report),
        differences=pooled.differences(report),
        opening=OPENING,
        legend=pooled.legend(),
    )
