"""The pages of a run: report.md, report.html and figures/, made from its files alone."""

import functools
import json
import pathlib

from bridge_tf.config.config_file import read_config_file
from bridge_tf.report.charts.style import for_file
from bridge_tf.report.figures import Figure, draw_figures
from bridge_tf.report.html import render_html
from bridge_tf.report.markdown import render_markdown
from bridge_tf.report.reader import read_details, read_plane


def write_pages(files, report: dict, planes: list[pathlib.Path]) -> None:
    """Writes the pages that aren't there as they should be.

    Args:
        files: a `bridge_tf.runs.work_dir.WorkDir` with report.json and figures/data.json.
        planes: the files of the loss planes that are to be shown.

    Raises:
        InputError: a file isn't what it should be; it is named.
    """
    write_page(files, files.report_page, render_markdown(report).encode(), [files.report])
    sources = [files.report, files.figures_data, files.config, *planes]
    known = (files.manifest.entry(files.report_html) or {}).get("figures", [])
    drawn = [_figure(files, name) for name in known]
    if files.state(files.report_html, sources) == "current" and all(
        files.state(path, sources) == "current" for path in drawn
    ):
        return
    details = read_details(files.figures_data, report)
    config = read_config_file(files.config, "train with `repair` to write it again")
    shown = {name: value for name, value in report.items() if name != "artifacts"}
    figures = _drawn(json.dumps([shown, details, [read_plane(path) for path in planes]]))
    for figure in figures:
        svg = for_file(figure.svg).encode()
        write_page(files, _figure(files, figure.name), svg, sources)
    names = [figure.name for figure in figures]
    page = render_html(report, details, config, figures).encode()
    write_page(files, files.report_html, page, sources, figures=names)
    for name in set(known) - set(names):
        _figure(files, name).unlink(missing_ok=True)
        files.manifest.remove(_figure(files, name))


@functools.lru_cache(1)
def _drawn(content: str) -> list[Figure]:
    """The figures of this JSON; kept, since an export writes the pages again, with its files."""
    return draw_figures(*json.loads(content))


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
