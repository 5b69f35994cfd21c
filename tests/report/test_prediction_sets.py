import pytest

from bridge_tf.report import render_markdown
from bridge_tf.report.html import render_html
from bridge_tf.report.prediction_sets import explanation, prediction_sets
from tests.report.examples import CONFIG, make


@pytest.fixture
def made(tmp_path):
    return make(tmp_path)[:2]


def test_prediction_sets_are_shown(made):
    report, details = made
    headings, rows = prediction_sets(report)
    assert [row[0] for row in rows] == ["90", "95"]
    assert rows[0][1:] == ["87.50", "3.12", "1.375", "68.75", "0.250000"]
    assert len(headings) == len(rows[0])
    for shown in (render_html(report, details, CONFIG, []), render_markdown(report)):
        assert "Prediction sets" in shown and "1.375" in shown
        assert "Sets of classes of bridge_2, by conformal prediction" in shown


def test_reports_without_them_are_as_they_were(made):
    report, details = made
    for without in ({"name": "bridge_2", "rows": []}, None):
        report["prediction_sets"] = without
        if without is None:
            del report["prediction_sets"]
        assert prediction_sets(report) is None and explanation(report) == ""
        for shown in (render_html(report, details, CONFIG, []), render_markdown(report)):
            assert "rediction sets" not in shown
