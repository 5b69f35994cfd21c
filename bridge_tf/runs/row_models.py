"""The rows of a run's report as models, with the temperatures of their exports."""

from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.scores import calibrate
from bridge_tf.runs.cascade_models import cascade_names, cascade_of, current_report, is_cascade
from bridge_tf.runs.context import Run
from bridge_tf.runs.rows import row_ensemble
from bridge_tf.utils.errors import InputError

RECOMMENDED = "recommended"


def row_model(run: Run, name: str) -> BridgeEnsemble | CascadeEnsemble | MembersEnsemble:
    """A row as one model: a cascade with the report's threshold and temperatures, another row with
    temperatures fitted on the validation split, as in the report.

    Raises:
        InputError: there is no such row, it can't be such a model, or a file is damaged.
    """
    if is_cascade(name):
        return cascade_of(run, report_rows(run, name), name)
    return calibrate(row_ensemble(run, name, cascade_names(run)), run.data.validation)


def report_rows(run: Run, name: str) -> dict[str, dict]:
    """The rows of the run's report, by name; errors are those of `current_report`."""
    return {row["name"]: row for row in current_report(run, name)["ensembles"]}


def recommended_row(run: Run) -> str:
    """The name of the row that the run's report recommends; an InputError if there is none."""
    found = current_report(run, RECOMMENDED).get("recommendation", {}).get("name")
    if found is None:
        raise InputError(
            f"`ensemble={RECOMMENDED}`: {run.files.report} recommends no row; evaluate the run "
            "again, with another budget"
        )
    return found
