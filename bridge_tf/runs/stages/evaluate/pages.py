"""The pages of a run's report, made from report.json and figures/data.json."""

import pathlib

from bridge_tf.report import read_report, write_pages
from bridge_tf.report.shown import Report
from bridge_tf.runs.artifacts import artifacts
from bridge_tf.runs.context import Run
from bridge_tf.runs.status import measured_files
from bridge_tf.utils.terminal import logger


def measured(run: Run) -> list[pathlib.Path]:
    """The files that an evaluation measures."""
    return [run.files.report, run.files.figures_data, run.files.resamples]


def show(run: Run) -> None:
    """Writes the pages of what was measured; recommendation and table go to standard output."""
    run.files.remove_checkpoints(run.files.report)
    report = read_report(run.files.report)
    write_pages(run.files, report, _loss_planes(run))
    if run.prints:
        print(Report(report), flush=True)
    for warning in report.get("warnings", ()):
        logger.warning("evaluate: WARNING: %s", warning)


def add_artifacts(run: Run) -> None:
    """Puts what exported files are worth into the report, if there is one."""
    sources = measured_files(run)
    if all(run.files.current(path, sources) for path in measured(run)):
        report = read_report(run.files.report)
        if report.get("artifacts") != artifacts(run):
            report["artifacts"] = artifacts(run)
            run.files.write_json(run.files.report, report, sources)
        write_pages(run.files, report, _loss_planes(run))


def _loss_planes(run: Run) -> list[pathlib.Path]:
    """The files of the loss planes that are of this run's curves as they are now."""
    found = []
    for pair in run.config.curves():
        path, curve = run.files.loss_plane(pair), run.files.curve(pair)
        state = run.files.state(path, [curve])
        if state == "current":
            found.append(path)
        elif state != "missing":
            what = "was changed" if state == "damaged" else f"isn't of {curve} as it is now"
            logger.warning(
                "evaluate: WARNING: %s %s and is left out of the report; evaluate with "
                "`loss_plane` to measure it again",
                path,
                what,
            )
    return found
