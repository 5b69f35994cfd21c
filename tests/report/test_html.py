import re
import xml.etree.ElementTree as ET

import pytest

from bridge_tf.report.figures import draw_figures
from bridge_tf.report.html import render_html
from tests.report.examples import CONFIG, make

PLANE = {
    "curve": [0, 1],
    "x": [-1.0, 0.0, 1.0],
    "y": [-1.0, 0.0, 1.0],
    "nll": [[0.1, 0.5, 0.2], [0.3, 0.4, 0.6], [1.0, None, 3.0]],
    "accuracy": [[0.9] * 3] * 3,
    "points": {"start": [-0.5, 0.0], "end": [0.5, 0.0], "control": [0.0, 0.5]},
    "path": [{"r": 0.0, "x": -0.5, "y": 0.0}, {"r": 1.0, "x": 0.5, "y": 0.0}],
    "images": 60,
    "distance": 1.0,
    "out_of_plane": 0.0,
}
HISTORY = {"loss": [(1, 2.0), (2, 1.0)], "accuracy": [(1, 0.2), (2, 0.6)]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    report, details, _ = make(tmp_path_factory.mktemp("logs"))
    details["histories"] = {"modes/0": HISTORY, "modes/1": HISTORY, "curves/0-1": HISTORY}
    details["histories"]["bridges/0-1"] = {"loss": [(1, 2.0)], "agreement": [(1, 0.4)]}
    return report, details


@pytest.fixture(scope="module")
def figures(made):
    return draw_figures(*made, [PLANE])


@pytest.fixture(scope="module")
def page(made, figures):
    return render_html(*made, CONFIG, figures)


def test_every_figure_is_drawn_once(figures):
    assert [figure.name for figure in figures] == [
        "quality_calibrated_nll",
        "quality_accuracy",
        "bridges",
        "curve_0-1",
        "curve_0-2",
        "loss_plane_0-1",
        "reliability_single",
        "reliability_deep_ensemble_3",
        "reliability_bridge_2",
        "confusion_single",
        "confusion_bridge_2",
        "history_modes_loss",
        "history_modes_accuracy",
        "history_curves_loss",
        "history_curves_accuracy",
        "history_bridges_loss",
        "history_bridges_agreement",
    ]
    assert len({figure.title for figure in figures}) == len(figures)
    for figure in figures:
        ET.fromstring(figure.svg)


def test_the_page_holds_all_figures_and_asks_for_nothing(figures, page):
    assert page.count("<svg ") == len(figures)
    for figure in figures:
        assert f"<figcaption>{figure.title}</figcaption>" in page
    asked = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert asked
    assert all(address.startswith(("#", "data:")) for address in asked)
    assert "<script" not in page and "@import" not in page


def test_the_page_shows_the_comparison_and_marks_the_best(made, page):
    rows = re.findall(r'<tr class="method-(\w+)">(.*?)</tr>', page, re.DOTALL)
    assert [method for method, _ in rows] == [row["method"] for row in made[0]["ensembles"]]
    accuracies = [row["accuracy"] for row in made[0]["ensembles"]]
    for accuracy, (_, cells) in zip(accuracies, rows, strict=True):
        best = " best" if accuracy == max(accuracies) else ""
        assert f'<td class="early{best}">{100 * accuracy:.2f}</td>' in cells


def test_words_of_data_and_settings_are_text_not_markup(page):
    for text in ("<b>bold</b>", "<script>", "a<b>.npz", "<i>data</i>"):
        assert text not in page
    assert "made up &amp; &lt;b&gt;bold&lt;/b&gt;" in page
    assert "<li>dataset=npz:a&lt;b&gt;.npz</li>" in page
    assert "<li>taps=stage2_block1</li>" in page


def test_a_run_without_histories_or_plane_says_so(made, tmp_path):
    report, details, _ = make(tmp_path)
    figures = draw_figures(report, details)
    assert not [f for f in figures if f.section in ("histories", "plane")]
    assert "logs/ holds no histories" in render_html(report, details, CONFIG, figures)


def test_no_disagreements_are_told_in_words(made, figures, page):
    report, details = made
    assert "They name different classes for" in page and "On no test image" not in page
    none = {"number": 0, "shown": []}
    found = {**details["disagreements"], "gained": none, "lost": none, "neither": none}
    quiet = render_html(report, {**details, "disagreements": found}, CONFIG, figures)
    assert "On no test image: they name the same class for each of the 60." in quiet
    assert "They name different classes for" not in quiet


def test_settings_in_warnings_are_code(page):
    assert "are few; set <code>max_images=0</code>.</li>" in page


def test_a_curve_has_one_name(page):
    # The name of its files too; in warnings as well.
    assert "Along the curve 0-1" in page and "0–1" not in page
    assert ">0-1, r = 0.5<" in page and "<td>0-1</td>" in page


def test_gaps_of_a_straight_line_are_told(made, page):
    report, details = made
    assert "has a gap" not in page
    line = details["lines"][0]
    gap = {**line["points"][1], "nll": None, "accuracy": None}
    line = {**line, "points": [line["points"][0], gap, line["points"][2]]}
    details = {**details, "lines": [line, details["lines"][1]]}
    plane = {**PLANE, "nll": [[None] * 3] * 3, "accuracy": [[None] * 3] * 3}
    figures = draw_figures(report, details, [plane])
    shown = render_html(report, details, CONFIG, figures)
    assert "Where the straight line has a gap" in shown
    assert "<td>0.50</td><td>–</td><td>–</td>" in shown
    assert "Loss over the plane of the curve 0-1: finite nowhere" in shown
    assert "no point of the plane has a finite loss" in shown


@pytest.mark.integration
def test_many_curves_and_classes(tmp_path):
    names = [f"a class with quite a long name, number {k}" for k in range(40)]
    report, details, _ = make(tmp_path, images=80, classes=40, names=names)
    for paths in (report["curves"], details["lines"]):
        paths[:] = [{**paths[0], "curve": [0, k]} for k in range(1, 15)]
    figures = draw_figures(report, details)
    assert len([f for f in figures if f.section == "curves"]) == 12
    page = render_html(report, details, CONFIG, figures)
    assert "The first 12 of 14 curves are drawn." in page
    # Names that don't fit the matrix are in the table below it.
    confusion = next(f.svg for f in figures if f.name == "confusion_single")
    assert names[3][:11] not in confusion
    assert names[3] in page


def test_names_of_any_kind_are_shown_as_they_are(tmp_path):
    names = ["a$b", "$x$", r"$\frac$", "<b>&amp;", "url(#x)"]
    report, details, _ = make(tmp_path, names=names)
    figures = draw_figures(report, details)
    (single,) = (f.svg for f in figures if f.name == "confusion_single")
    texts = [element.text for element in ET.fromstring(single).iter() if element.text]
    assert set(names) <= set(texts)
    assert "&lt;b&gt;&amp;amp;" in render_html(report, details, CONFIG, figures)


def test_names_of_no_text_are_escaped(tmp_path):
    names = ["bell\x07", "lone \udce9", "two\nlines", "名前 é", "plain"]
    report, details, _ = make(tmp_path, names=names)
    figures = draw_figures(report, details)
    for figure in figures:
        ET.fromstring(figure.svg.encode())
    page = render_html(report, details, CONFIG, figures).encode().decode()
    for shown in (
        r"&#39;bell\x07&#39;",
        r"&#39;lone \udce9&#39;",
        r"&#39;two\nlines&#39;",
        "名前 é",
    ):
        assert shown in page
    assert "\x07" not in page
