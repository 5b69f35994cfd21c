"""The prediction sets of a run's bridge ensemble."""

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature, rounded
from bridge_tf.evaluation.conformal import (
    K_REG,
    PENALTY,
    check_coverage,
    measure_coverages,
    reported_coverages,
)
from bridge_tf.runs.context import Run


def check_sets(run: Run) -> None:
    """Raises an InputError if there are too few validation images for the wanted coverage."""
    if run.config.coverage:
        check_coverage(run.config.coverage, len(run.data.validation))


def measure_run_sets(run: Run, row: dict, test: np.ndarray, validation: np.ndarray) -> dict:
    """`prediction_sets` of report.json.

    Args:
        row: of the exported bridge ensemble.
        test, validation: its log-probabilities before calibration, N×classes.
    """
    temperature = rounded(row["temperature"])
    probabilities = [np.exp(apply_temperature(x, temperature)) for x in (test, validation)]
    labels = run.data.test.labels, run.data.validation.labels
    return {
        "name": row["name"],
        "k_reg": K_REG,
        "penalty": PENALTY,
        "rows": measure_coverages(*probabilities, labels, run.config.coverage),
    }


def are_measured(run: Run, report: dict) -> bool:
    """Whether a report has the prediction sets of the wanted coverages."""
    rows = report.get("prediction_sets", {}).get("rows")
    wanted = reported_coverages(run.config.coverage, len(run.data.validation))
    return rows is not None and {*wanted} <= {row["coverage"] for row in rows}
