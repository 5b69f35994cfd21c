"""Runs that are trained and evaluated, in one report."""

import numpy as np
import pytest
import scipy.stats

from bridge_tf.config import STAGES, Config
from bridge_tf.report import read_report
from bridge_tf.report.pooled_pages import write_pooled
from bridge_tf.report.reader import read_pooled
from bridge_tf.runs.pooling import pool_report
from bridge_tf.runs.stages.evaluate.stage import is_evaluated
from tests.runs.small import SMALL, executed

# Of runs that are made up: tests/cli/test_pool.py.
pytestmark = pytest.mark.slow


def test_two_runs_of_which_one_has_a_baseline_more(tmp_path):
    runs = []
    for seed, baselines in ((0, ()), (3, ("swa",))):
        config = Config(num_modes=2, seed=seed, baselines=baselines, **SMALL)
        runs.append(executed(config, tmp_path / f"seed{seed}", STAGES[:-1]))
    reports = [read_report(run.files.report) for run in runs]
    report = pool_report([str(run.files.path) for run in runs], {})
    write_pooled(tmp_path / "pooled", report)
    assert read_pooled(tmp_path / "pooled" / "report.json") == report
    assert report["left_out"] == [{"name": "swa_1", "runs": ["seed3"]}]
    of_runs = [{row["name"]: row for row in one["ensembles"]} for one in reports]
    assert [row["name"] for row in report["ensembles"]] == list(of_runs[0])
    for row in report["ensembles"]:
        for key in ("accuracy", "calibrated_nll", "relative_flops", "training_cost"):
            values = [rows[row["name"]][key] for rows in of_runs]
            assert row[key] == pytest.approx(np.mean(values), rel=1e-12)
            expected = pytest.approx(scipy.stats.sem(values), rel=1e-9, abs=1e-15)
            assert row["standard_errors"][key] == expected
    # What an evaluation before this lacks is measured again.
    assert is_evaluated(runs[0])
    runs[0].files.resamples.unlink()
    assert not is_evaluated(runs[0])
    executed(runs[0].config, runs[0].files.path, ["evaluate"])
    assert pool_report([str(run.files.path) for run in runs], {}) == report
