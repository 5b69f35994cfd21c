import pytest

from bridge_tf.report import read_report, render_markdown
from bridge_tf.report.deployment import artifacts, early_exit, going_on
from bridge_tf.report.html import render_html
from bridge_tf.report.tables import comparison
from tests.report.examples import CONFIG, make


@pytest.fixture
def made(tmp_path):
    return make(tmp_path)[:2]


def test_files_and_early_answers_are_shown(made):
    report, details = made
    page, text = render_html(report, details, CONFIG, []), render_markdown(report)
    for shown in (page, text):
        assert "at least 0.8750, and bridge_2's for the other 25.0 %" in shown.replace("&#39;", "'")
        assert "1.050 × the FLOPs of one network on average (1.05 was wanted" in shown
        assert "1.235" in shown and "1.25" in shown
    assert "a&lt;b&gt;.int8.tflite" in page and "a<b>" not in page
    assert [row[-1] for row in artifacts(report)[1]] == ["–", "1.25"]


def test_time_stands_beside_flops_where_it_was_measured(made):
    report, details = made
    headings, rows = comparison(report, timed=True)
    assert "time ×" not in comparison(report)[0]  # what is printed
    place = headings.index("FLOPs ×")
    assert headings[place + 1] == "time ×"
    times = {row[0][0]: row[place + 1][0] for row in rows}
    assert times["single"] == "1.00" and times["bridge_2"] == "1.25"
    assert {time for name, time in times.items() if name not in ("single", "bridge_2")} == {"–"}
    # 1.125 + 0.25 · 0.375, and with three of four images going on.
    assert going_on(report)[1] == [
        ["test images", "60", "25.0", "1.050", "1.219"],
        ["inverted pixels", "50", "75.0", "1.150", "1.406"],
    ]
    for shown in (render_html(report, details, CONFIG, []), render_markdown(report)):
        assert "inverted pixels" in shown and "1.406" in shown
    for row in report["artifacts"]:
        row["latency_ratio"] = None
    assert "time ×" not in comparison(report, timed=True)[0]
    assert [row[-1] for row in going_on(report)[1]] == ["–", "–"]


def test_reports_without_them_are_as_they_were(made):
    report, details = made
    del report["early_exit"], report["artifacts"]
    assert early_exit(report) == "" and going_on(report) is None and artifacts(report) is None
    for shown in (render_html(report, details, CONFIG, []), render_markdown(report)):
        assert "Early exit:" not in shown and "Exported files" not in shown
    report["artifacts"] = []
    assert artifacts(report) is None


def test_they_are_read_as_they_were_written(made, tmp_path):
    import json

    (tmp_path / "report.json").write_text(json.dumps(made[0]))
    assert read_report(tmp_path / "report.json") == made[0]
