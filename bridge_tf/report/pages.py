"""The pages of a run: report.md, report.html and figures/, made from its files alone."""

import json
import pathlib

from bridge_tf.errors import InputError
from bridge_tf.evaluation.details import SCHEMA
from bridge_tf.report.charts.style import for_file
from bridge_tf.report.figures import draw_figures
from bridge_tf.report.html import render_html
from bridge_tf.report.markdown import render_markdown


def write_pages(files, report: dict, planes: list[pathlib.Path]) -> None:
    """Writes the pages that aren't there as they should be.

    Args:
        files: a `bridge_tf.workdir.WorkDir` with report.json and figures/data.json.
        report: the content of report.json.
        planes: the files of the loss planes that are to be shown.
    """
    write_page(files, files.report_page, render_markdown(report).encode(), [files.report])
    sources = [files.report, files.figures_data, files.config, *planes]
    known = (files.manifest.entry(files.report_html) or {}).get("figures", [])
    drawn = [_figure(files, name) for name in known]
    if files.state(files.report_html, sources) == "current" and all(
        files.state(path, sources) == "current" for path in drawn
    ):
        return
    details, config, *found = (json.loads(path.read_text(encoding="utf-8")) for path in sources[1:])
    if details.get("schema") != SCHEMA:
        raise InputError(
            f"{files.figures_data} was written by another version of bridge_tf; run bin/evaluate "
            f"--workdir={files.path}"
        )
    figures = draw_figures(report, details, found)
    for figure in figures:
        svg = for_file(figure.svg).encode()
        write_page(files, _figure(files, figure.name), svg, sources)
    names = [figure.name for figure in figures]
    page = render_html(report, details, config, figures).encode()
    write_page(files, files.report_html, page, sources, figures=names)
    for name in set(known) - set(names):
        _figure(files, name).unlink(missing_ok=True)
        files.manifest.remove(_figure(files, name))


def write_page(files, target: pathlib.Path, page: bytes, sources, **notes) -> None:
    """Writes a page; one that holds something else than it should is set aside."""
    state = files.state(target, sources)
    if state in ("damaged", "unlisted") and target.read_bytes() != page:
        files.set_aside(target)
    if state != "current":
        with files.writing(target, sources, **notes) as partial:
            partial.write_bytes(page)


def _figure(files, name: str) -> pathlib.Path:
    return files.figures / f"{pathlib.PurePath(name).name}.svg"
