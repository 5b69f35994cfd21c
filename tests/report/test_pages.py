import copy
import json
import os
import shutil

import pytest

from bridge_tf.config import Config
from bridge_tf.report import write_pages
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from tests.report.examples import make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A work directory whose pages are written, and its report."""
    folder = tmp_path_factory.mktemp("made")
    files = WorkDir(folder / "run")
    with files.held():
        files.claim(Config(export_name="made"))
        report, details, _ = make(folder)
        files.write_json(files.report, report)
        files.write_json(files.figures_data, details)
        write_pages(files, report, [])
    return files.path, report


@pytest.fixture
def files(made, tmp_path):
    """A copy of it."""
    folder, report = made
    files = WorkDir(shutil.copytree(folder, tmp_path / "run"))
    with files.held():
        files.made = copy.deepcopy(report)
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


PLANE = {
    "curve": [0, 1],
    "x": [-1.0, 0.0, 1.0],
    "y": [-1.0, 0.0, 1.0, 2.0],
    "nll": [[1.0, None, 2.0]] * 4,
    "accuracy": [[0.5, None, 0.25]] * 4,
    "points": {"start": [0.0, 0.0], "end": [1.0, 0.0], "control": [0.5, 0.5]},
    "path": [{"r": 0.0, "x": 0.0, "y": 0.0}, {"r": 1.0, "x": 1.0, "y": 0.0}],
    "images": 5,
    "distance": 1.0,
    "out_of_plane": 0.0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("lines"), "lines: Field required"),
        (lambda d: d["class_names"].pop(), "class_names: must be 5, not 4"),
        (lambda d: d["lines"].pop(), "its lines are of"),
        (lambda d: d["lines"][0]["points"][0].update(nll="low"), r"lines\[0\].points\[0\].nll"),
        (
            lambda d: d["confusions"][0]["cells"][0].__setitem__(1, 5),
            r"cells\[0\]\[1\]: Value error, must be below 5; it is 5",
        ),
        (
            lambda d: d["disagreements"].update(gained=[]),
            "disagreements.gained: Input should be a valid dictionary; it is \\[\\]",
        ),
        (
            lambda d: d.update(histories={"modes/0": {"loss": [1, 2]}}),
            r"modes/0.loss\[0\]: Input should be a valid tuple; it is 1",
        ),
        (
            lambda d: d.update(measured_on=None),
            "measured_on: Input should be a valid dictionary; it is None",
        ),
        (lambda d: d.update(schema=2), "schema: Input should be 1; it is 2"),
    ],
)
def test_data_of_another_kind_is_named(files, change, message):
    details = json.loads(files.figures_data.read_text())
    change(details)
    files.write_json(files.figures_data, details)
    before = contents(files)
    with pytest.raises(InputError, match=f"figures/data.json can't be read as .*{message}"):
        write_pages(files, files.made, [])
    assert contents(files) == before


def test_a_plane_is_drawn(files):
    path = files.loss_plane((0, 1))
    files.write_json(path, PLANE)
    write_pages(files, files.made, [path])
    assert (files.figures / "loss_plane_0-1.svg").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": [0.0, 1.0]}, "x: List should have at least 3 items"),
        ({"x": [0.0, 0.0, 1.0]}, "axes don't rise"),
        ({"nll": [[1.0, 2.0, 3.0]] * 3}, "nll isn't of 4 rows with 3 columns"),
        (
            {"accuracy": [[1.0, "a", 3.0]] * 4},
            r"accuracy\[0\]\[1\]: Input should be a valid number; it is 'a'",
        ),
        ({"points": {}}, "points.start: Field required"),
        ({"path": []}, "path: List should have at least 1 item"),
        ({"distance": float("inf")}, "distance: Input should be a finite number; it is inf"),
    ],
)
def test_a_plane_of_another_kind_is_named(files, changes, message):
    path = files.loss_plane((0, 1))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(PLANE | changes))
    with pytest.raises(InputError, match=f"loss_plane_0-1.json can't be read as .*{message}"):
        write_pages(files, files.made, [path])


@pytest.mark.integration
@pytest.mark.parametrize("values", [[1.0, None, 2.0], [None] * 3])
def test_what_is_not_finite_is_shown_as_missing(files, values):
    path = files.loss_plane((0, 1))
    files.write_json(path, PLANE | {"nll": [values] * 4, "accuracy": [[None] * 3] * 4})
    details = json.loads(files.figures_data.read_text())
    for point in details["lines"][0]["points"][1:]:
        point.update(nll=None, accuracy=None)
    for point in details["lines"][1]["points"]:
        point.update(nll=None, accuracy=None)
    files.write_json(files.figures_data, details)
    write_pages(files, files.made, [path])
    page = files.report_html.read_text()
    assert "nan" not in page.lower().replace("nanum", "") and "None" not in page
