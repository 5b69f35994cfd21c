import pytest

from bridge_tf.report.markdown import render_markdown
from bridge_tf.report.uncertainty import corruptions, legend, other_data, uncertainty
from tests.report.examples import make


@pytest.fixture
def report(tmp_path):
    return make(tmp_path)[0]


def test_the_table_holds_what_is_measured_beside(report):
    headings, rows = uncertainty(report)
    assert headings == [
        *("ensemble", "cal. ad. ECE %", "AURC × 1000", "disagreement %", "AUROC %", "FPR95 %")
    ]
    for cells, row in zip(rows, report["ensembles"], strict=True):
        disagreement = row["disagreement"]
        assert cells == [
            row["name"],
            f"{100 * row['calibrated_adaptive_ece']:.2f}",
            f"{1000 * row['aurc']:.2f}",
            "–" if disagreement is None else f"{100 * disagreement:.2f}",
            "87.50",
            "50.00",
        ]
    assert rows[0][3] == "–" and float(rows[1][3]) > 0
    assert "from the 1,234 test images of other <i>data</i>" in other_data(report)


def test_reports_without_them_have_no_such_table(report):
    more = {"adaptive_ece", "calibrated_adaptive_ece", "aurc", "disagreement"}
    for row in report["ensembles"]:
        for key in more:
            del row[key]
    del report["ood"], report["corruptions"]
    assert uncertainty(report) is None and corruptions(report) == [] and legend(report) == []
    page = render_markdown(report)
    for word in ("Uncertainty", "Corrupted", "AURC", "ad. ECE"):
        assert word not in page


def test_without_other_data_their_columns_are_left_out(report):
    del report["ood"]
    headings, rows = uncertainty(report)
    assert headings[-1] == "disagreement %" and all(len(row) == 4 for row in rows)
    assert not other_data(report)
    assert [term for term, _ in legend(report)] == ["ad. ECE", "AURC", "disagreement"]


def test_corruptions_are_averaged_both_ways(report):
    (single, *_) = report["corruptions"]["rows"]
    for item, accuracy in zip(
        single["corrupted"], (0.9, 0.8, 0.7, 0.6, 0.5, 0.7, 0.6, 0.5, 0.4, 0.3), strict=True
    ):
        item["accuracy"] = accuracy  # of noise, then of jpeg
    tables = dict(corruptions(report))
    headings, rows = tables["Accuracy %"]
    assert headings == ["ensemble", "clean", "1", "2", "3", "4", "5", "noise", "jpeg"]
    assert rows[0] == [
        *("single", "75.00", "80.00", "70.00", "60.00", "50.00", "40.00", "70.00", "50.00")
    ]
    assert len(rows) == len(report["ensembles"]) and len(tables) == 3
    assert tables["ECE %, before temperature scaling"][1][0][1] == "12.50"


def test_the_page_has_them_behind_the_comparison(report):
    page = render_markdown(report)
    places = [page.index(f"\n## {name}") for name in ("Uncertainty", "Corrupted images", "Bridges")]
    assert places == sorted(places)
    assert "On 60 test images, clean and corrupted in 2 ways." in page
    table = next(line for line in page.splitlines() if line.startswith("| ensemble"))
    assert [cell.strip() for cell in table.split("|")][-5:-1] == [
        *("ECE %", "ad. ECE %", "cal. ECE %", "DEE")
    ]
    for term, text in legend(report):
        assert f"- **{term}**: {text}" in page
