"""The README's table is what a run prints, and each of its columns is explained."""

import json
import re

from bridge_tf.report import render_table
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
REPORT = REPOSITORY / "docs" / "results" / "digits" / "seed0.json"


def headings(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_is_that_of_its_report():
    assert render_table(json.loads(REPORT.read_text(encoding="utf-8"))) in README


def test_each_column_is_explained_in_its_order():
    table = re.search(r"^\| ensemble .*$", README, re.MULTILINE)[0]
    explained = README.partition("| column | meaning |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert [headings(line)[0] for line in explained.splitlines()] == headings(table)
