"""The stage `evaluate`: the report on the test split, and its pages."""

import json

from bridge_tf.data.corruptions import SEVERITIES
from bridge_tf.report import read_report
from bridge_tf.runs.artifacts import artifacts
from bridge_tf.runs.bridge_pool import remove_pool
from bridge_tf.runs.context import Run
from bridge_tf.runs.prediction_sets import are_measured, check_sets
from bridge_tf.runs.report_log import log_report
from bridge_tf.runs.resampled_file import write_resampled
from bridge_tf.runs.stages.evaluate.comparison import compare
from bridge_tf.runs.stages.evaluate.loss_plane import check_plane, write_loss_plane
from bridge_tf.runs.stages.evaluate.pages import add_artifacts, measured, show
from bridge_tf.runs.stages.evaluate.shifted import is_measured, other_images
from bridge_tf.runs.status import check_baselines, check_trained, measured_files
from bridge_tf.runs.student_pool import remove_answers
from bridge_tf.runs.task_graph import Task
from bridge_tf.utils.files import check_space


class Evaluate:
    """Measures everything that is trained."""

    def check(self, run: Run) -> None:
        """Finds other images that can't be read, and too few validation images for prediction
        sets, before work is begun.
        """
        check_sets(run)
        if run.config.ood_dataset:
            other_images(run)

    def prepare(self, run: Run) -> list[Task]:
        """The evaluation; `do` finds whether it is done."""
        return run.graph.of("evaluate")

    def do(self, run: Run, task: Task) -> None:
        """Writes the report and its pages; their table goes to standard output."""
        remove_pool(run)  # of a sub-ensemble; all is trained
        remove_answers(run)
        measure(run)
        show(run)


def measure(run: Run) -> None:
    """Writes the report, unless it is current; errors are those of `is_evaluated` and below."""
    if not is_evaluated(run):
        remeasure(run)


def is_evaluated(run: Run) -> bool:
    """Whether the report is current, with the wanted costs and other images.

    Raises:
        InputError: it is damaged.
    """
    sources = measured_files(run)
    current = [run.files.current(path, sources) for path in measured(run)]  # finds all damage
    if not all(current):
        return False
    report = read_report(run.files.report)
    found = [report.get(key, {}).get("budget") for key in ("early_exit", "recommendation")]
    wanted = [run.config.early_exit_budget, run.config.budget, run.config.average_cost]
    same = [*found, report.get("average_cost")] == wanted and are_measured(run, report)
    return same and is_measured(run.config, report)


def remeasure(run: Run) -> None:
    """Measures everything and writes the report; InputError if a trained file is damaged."""
    check_trained(run, "evaluate")
    check_baselines(run)
    sources = measured_files(run)
    size = _predictions_size(run)
    check_space("workdir", run.files.path, size, "the stage evaluate")
    report, details, resampled = compare(run)
    report["artifacts"] = artifacts(run)
    run.files.claim(run.config)
    log_report(run.files.all_logs, report, details["lines"])
    write_resampled(run.files, resampled, sources)
    for path, content in ((run.files.report, report), (run.files.figures_data, details)):
        run.files.write_json(path, content, sources)


def reevaluate(run: Run, loss_plane: tuple[int, int] | None = None) -> None:
    """Measures everything anew, whatever report there is, and writes its pages.

    `loss_plane` (points a side, most test images) also measures the plane of the first curve.

    Raises:
        InputError: files are missing or damaged, or the first curve spans no plane; nothing is
            measured then.
    """
    check_trained(run, "evaluate")
    if loss_plane:
        check_plane(run)
    remeasure(run)
    if loss_plane:
        write_loss_plane(run, *loss_plane)
    show(run)


def take_evaluation(run: Run) -> None:
    """Goes on as `Evaluate.do` with what another process has measured."""
    lines = json.loads(run.files.figures_data.read_text(encoding="utf-8"))["lines"]
    log_report(run.files.all_logs, read_report(run.files.report), lines)
    add_artifacts(run)
    show(run)


def _predictions_size(run: Run) -> int:
    """Bytes of the predictions that an evaluation keeps until it is done."""
    config, data = run.config, run.data
    pairs, places = len(config.curves()), len(run.positions)
    members = config.num_modes + pairs * 2 * (places + config.curve_points)
    images = len(data.test) + len(data.validation)
    copies = len(SEVERITIES) * len(config.corruptions)
    images += copies * min(config.corruption_images, len(data.test))
    return 8 * members * images * data.num_classes
