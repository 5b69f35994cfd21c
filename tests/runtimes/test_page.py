"""docs/runtimes.md has what was measured, and the lines that were run."""

import json

from benchmarks.runtimes.harness import of_base, ratio_of
from benchmarks.runtimes.measure import RESULTS
from benchmarks.runtimes.page import PAGE, written
from benchmarks.runtimes.table import RUNTIMES


def test_the_page_is_made_of_the_results():
    results, text = json.loads(RESULTS.read_text()), PAGE.read_text(encoding="utf-8")
    assert written(text, results) == text
    run = {runtime.name for runtime in RUNTIMES if runtime.is_run}
    assert results["runtimes"].keys() == run
    for found in results["runtimes"].values():
        assert (found["agreement"], found["images"]) == (1, 200)
        assert found["max_difference"] <= 1e-4
    for runtime in RUNTIMES:
        assert runtime.is_run != bool(runtime.why_not), runtime.name


def test_lines_of_the_base_read_its_files():
    for runtime in RUNTIMES:
        if runtime.is_run:
            changed = of_base(runtime.load)
            assert '"model' not in changed and '"base' in changed, runtime.name
            assert of_base(runtime.call) == runtime.call


def test_the_ratio_is_the_median_of_rounds():
    found = ratio_of([[2.0, 1.0], [9.0, 3.0], [2.0, 2.0]])
    assert found == {"ms": 2.0, "base_ms": 2.0, "ratio": 2.0, "rounds": 3}
