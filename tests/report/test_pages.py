import json
import os

import pytest

from bridge_tf.config import Config
from bridge_tf.report import write_pages
from bridge_tf.workdir import WorkDir
from tests.report.examples import make


@pytest.fixture
def files(tmp_path):
    files = WorkDir(tmp_path / "run")
    with files.held():
        files.claim(Config(export_name="made"))
        report, details, _ = make(tmp_path)
        files.write_json(files.report, report)
        files.write_json(files.figures_data, details)
        write_pages(files, report, [])
        files.made = report
        yield files


def contents(files) -> dict:
    return {
        p.name: p.read_bytes()
        for p in files.path.rglob("*")
        if p.suffix in (".svg", ".html", ".md")
    }


def times(files) -> dict:
    return {p.name: p.stat().st_mtime_ns for p in files.path.rglob("*") if p.is_file()}


def test_what_is_there_is_not_written_again(files):
    before = times(files)
    assert {"report.md", "report.html", "bridges.svg", "confusion_single.svg"} <= set(before)
    write_pages(files, files.made, [])
    assert times(files) == before


@pytest.mark.parametrize("name", ["report.html", "report.md", "figures/bridges.svg"])
def test_what_is_missing_or_changed_is_made_again(files, name):
    before, path = contents(files), files.path / name
    path.unlink()
    write_pages(files, files.made, [])
    assert contents(files) == before
    path.write_bytes(b"spoilt")
    write_pages(files, files.made, [])
    assert path.with_name(f"{path.name}.damaged").read_bytes() == b"spoilt"
    assert contents(files)[path.name] == before[path.name]


def test_figures_of_an_earlier_report_go(files):
    assert (files.figures / "curve_0-2.svg").exists()
    files.made["curves"].pop()
    files.write_json(files.report, files.made)
    details = json.loads(files.figures_data.read_text())
    details["lines"].pop()
    files.write_json(files.figures_data, details)
    write_pages(files, files.made, [])
    assert not (files.figures / "curve_0-2.svg").exists()
    assert files.manifest.entry(files.figures / "curve_0-2.svg") is None
    assert (files.figures / "curve_0-1.svg").exists()


def test_a_figure_that_cannot_be_written_leaves_the_page_undone(files, monkeypatch):
    files.made["warnings"] = []
    files.write_json(files.report, files.made)
    replace = os.replace

    def failing(source, target):
        if str(target).endswith("bridges.svg"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="No space left"):
        write_pages(files, files.made, [])
    monkeypatch.undo()
    assert not list(files.path.rglob(".*partial*"))
    write_pages(files, files.made, [])
    assert (
        files.state(files.report_html, [files.report, files.figures_data, files.config])
        == "current"
    )
