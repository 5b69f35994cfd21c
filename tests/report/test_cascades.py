"""Cascades on the pages of a report."""

import json
import xml.etree.ElementTree as ET

import pytest

from bridge_tf.report import read_report, render_markdown
from bridge_tf.report.charts import cascades as chart_of_cascades
from bridge_tf.report.deployment import cascades, early_exit
from bridge_tf.report.figures import draw_figures
from bridge_tf.report.html import render_html
from bridge_tf.report.tables import comparison, temperatures
from bridge_tf.report.uncertainty import corruptions
from tests.report.examples import CONFIG, make


@pytest.fixture
def old(tmp_path):
    """A report of a run before there were cascades, and its details."""
    return make(tmp_path)[:2]


@pytest.fixture
def made(old):
    """The same with a cascade from the base to three modes, and one that all images go through."""
    report, details = json.loads(json.dumps(old))
    single = report["ensembles"][0]
    for row in report["ensembles"]:
        row["worst_relative_flops"] = row["relative_flops"]
    figures = {k: v for k, v in single.items() if k not in ("disagreement", "temperature_ml")}
    figures |= {"method": "cascade", "worst_relative_flops": 3.0, "size": 3}
    for name, cost, threshold, share in (
        ("cascade_3", 1.375, 0.8125, 0.1875),
        ("cascade_2", 2.0, 2.0, 1.0),
    ):
        more = {"average_flops_validation": 1.25, "threshold": threshold, "share_going_on": share}
        report["ensembles"].append({**figures, **more, "name": name, "relative_flops": cost})
    point = {"threshold": 0.5, "accuracy": 0.5}
    report["cascades"] = [
        {
            "name": name,
            "points": [
                {**point, "share_going_on": x, "average_flops": 1 + 2 * x, "calibrated_nll": 2 - x}
                for x in (0.0, 0.5, 1.0)
            ],
        }
        for name in ("cascade_3", "bridge_cascade_1", "bridge_cascade_2", "odd$name$_1")
    ]
    report["average_cost"] = 1.25
    row = report["corruptions"]["rows"][0]
    clean = row["clean"] | {"relative_flops": 1.25}
    corrupted = [{**x, "relative_flops": 1 + 0.25 * x["severity"]} for x in row["corrupted"]]
    of_cascade = {"name": "cascade_3", "clean": clean, "corrupted": corrupted}
    report["corruptions"]["rows"].append(of_cascade)
    return report, details


def test_pages_say_what_a_cascade_costs(made):
    report, details = made
    headings, rows = cascades(report)
    assert headings == [
        *("cascade", "threshold", "going on %"),
        *("FLOPs ×, validation", "FLOPs ×, test", "FLOPs ×, worst"),
    ]
    assert rows == [
        ["cascade_3", "0.8125", "18.8", "1.250", "1.375", "3.000"],
        ["cascade_2", "all", "100.0", "1.250", "2.000", "3.000"],
    ]
    for page in (render_markdown(report), render_html(report, details, CONFIG, [])):
        assert "Cascades" in page and "0.8125" in page and "18.8" in page
    headings, rows = comparison(report)
    of_cascade = dict(zip(headings, rows[-2], strict=True))
    assert of_cascade["FLOPs ×"][0] == "1.38" and of_cascade["worst ×"][0] == "3.00"
    # Each stage's temperature is in that stage's row.
    assert [row[0] for row in temperatures(report["ensembles"])[1]] == [
        row["name"] for row in report["ensembles"][:-2]
    ]


def test_early_exit_is_of_the_last_bridges_whatever_rows_follow(made, old):
    assert early_exit(made[0]) == early_exit(old[0]) and "bridge_2's" in early_exit(made[0])


def test_the_average_cost_on_corrupted_images_is_shown(made, old):
    assert len(corruptions(old[0])) == 3
    caption, (headings, rows) = corruptions(made[0])[-1]
    assert caption == "Average FLOPs × of cascades"
    assert headings[1:7] == ["clean", "1", "2", "3", "4", "5"]
    assert rows == [["cascade_3", "1.25", "1.25", "1.50", "1.75", "2.00", "2.25", "1.75", "1.75"]]


def test_curves_are_drawn_with_the_rows_that_they_begin_and_end_at(made):
    chart, _ = chart_of_cascades.draw(made[0]["cascades"], made[0]["ensembles"])
    lines = chart.axes[0].lines
    for line in lines[:4]:
        assert line.get_xydata().tolist() == [[1, 2], [2, 1.5], [3, 1]]
    (text,) = (text for text in chart.legends)
    assert [label.get_text() for label in text.get_texts()] == [
        *("cascade", "bridge cascade", r"odd\$name\$", "single", "deep ensemble", "bridge")
    ]
    assert len(lines[-2].get_xdata()) == 2 and len(lines[-1].get_xdata()) == 2


def test_reports_with_and_without_them_are_read_and_drawn(made, old, tmp_path):
    names = []
    for report, details in (made, old):
        (tmp_path / "report.json").write_text(json.dumps(report))
        assert read_report(tmp_path / "report.json") == report
        figures = draw_figures(report, details)
        assert all(ET.fromstring(figure.svg) is not None for figure in figures)
        names.append({figure.name for figure in figures})
    assert names[0] - names[1] == {"cascades", "worst_calibrated_nll", "worst_accuracy"}
    page = render_markdown(old[0])
    assert cascades(old[0]) is None and "## Cascades" not in page
    assert "worst ×" not in comparison(old[0])[0]
