"""The README's table is what a run prints, and each of its columns is explained."""

import json
import re

from bridge_tf.report import render_table
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
RESULTS = REPOSITORY / "docs" / "results"
REPORT = RESULTS / "digits" / "seed0.json"


def headings(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_is_that_of_its_report():
    """Of the rows that the command prints; its report has all baselines besides."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    own = re.compile(r"single|(deep_ensemble|curve|bridge|cascade|bridge_cascade)_\d")
    rows = [row for row in report["ensembles"] if own.fullmatch(row["name"])]
    assert len(rows) == 15
    assert render_table({**report, "ensembles": rows}) in README


def test_each_column_is_explained_in_its_order():
    table = re.search(r"^\| ensemble .*members.*$", README, re.MULTILINE)[0]
    explained = README.partition("| column | meaning |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert [headings(line)[0] for line in explained.splitlines()] == headings(table)


def test_the_first_table_is_that_of_its_report():
    report = json.loads((RESULTS / "fashion_mnist" / "pooled.json").read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in report["ensembles"]}
    table = README.partition("below one network by")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) == 8
    for line in table:
        row = rows[headings(line)[0]]
        errors, gain = row["standard_errors"], ""
        if versus := row.get("versus_single"):
            low, high = versus["calibrated_nll"]
            nll = rows["single"]["calibrated_nll"] - row["calibrated_nll"]
            gain = f"{nll:.4f} ({-high:.4f} … {-low:.4f})"
        assert headings(line)[1:] == [
            f"{row['relative_flops']:.2f}",
            f"{row['worst_relative_flops']:.2f}",
            f"{100 * row['accuracy']:.2f} ± {100 * errors['accuracy']:.2f}",
            f"{row['calibrated_nll']:.4f} ± {errors['calibrated_nll']:.4f}",
            gain,
            f"{row['dee']:.2f} ± {errors['dee']:.2f}",
        ]
