"""Runs the stages of a run in their order, on this machine."""

import contextlib
import pathlib
import shlex
from collections.abc import Iterator

from bridge_tf.config import STAGES as NAMES
from bridge_tf.runs.artifacts import exported_files
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.jobs.jobs import Jobs
from bridge_tf.runs.executors.jobs.threads import check_threads
from bridge_tf.runs.row_models import RECOMMENDED, recommended_row
from bridge_tf.runs.stages import STAGES
from bridge_tf.runs.stages.evaluate.stage import reevaluate
from bridge_tf.runs.stages.export import export_row
from bridge_tf.runs.stages.given_modes import take_modes
from bridge_tf.runs.task_graph import TRAININGS
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import logger


def execute(run: Run) -> None:
    """Runs the requested stages. Finished results are kept.

    Raises:
        InputError: an unknown stage, a work directory of another run or in use, bad data, or
            files of earlier stages that are missing or damaged.
        ParityError: an exported file predicts otherwise than the Keras model.
        TrainingError: a training diverged.
    """
    with prepared(run), Jobs(run) as jobs:
        for name, stage in STAGES.items():
            if name in run.stages:
                jobs.do(stage.prepare(run))


@contextlib.contextmanager
def prepared(run: Run) -> Iterator[None]:
    """Locks the work directory for the block, which does the tasks of a run.

    It first checks all that can be checked before work is begun; errors are as in `execute`.
    """
    check_stages(run.stages)
    with run.files.held(run.wait):
        run.files.check(run.config)
        if run.config.executor == "local" and set(run.stages) & set(TRAININGS):
            _ = run.devices  # they must be there, and several hosts meet before all else
            check_threads(run.config.threads)
        if run.files.repair and run.files.holds_a_run:
            run.files.claim(run.config)
        for name, stage in STAGES.items():
            if name in run.stages:
                stage.check(run)
        if run.config.modes:
            take_modes(run)
        yield
        _say_what_is_next(run)


def measure_again(run: Run, loss_plane: tuple[int, int] | None = None, kept: bool = True) -> None:
    """Measures a finished run anew; see `reevaluate`.

    `kept`: whether the work directory stays, so that it is said what there is to open.
    """
    with run.files.held(run.wait):
        run.files.check(run.config)
        STAGES["evaluate"].check(run)
        reevaluate(run, loss_plane)
        if kept:
            _say_what_is_next(run)


def export_one(run: Run, row: str) -> list[pathlib.Path]:
    """Exports a row of a finished run's table; see `export_row`."""
    with run.files.held(run.wait):
        run.files.check(run.config)
        return export_row(run, row)


def check_stages(stages) -> None:
    """Raises an InputError unless these are one or more names of stages."""
    if not stages or {*stages} - {*NAMES}:
        raise InputError(f"`stages={','.join(stages)}`: name one or more of {', '.join(NAMES)}")


def _say_what_is_next(run: Run) -> None:
    """Names what there is to open."""
    files = run.files
    exported = exported_files(run) if files.ensemble.exists() else []
    there = {
        "report": [files.report_html] if files.report_html.exists() else [],
        "model": exported,
        **(_recommended(run) if exported else {}),
        "trainings": [f"tensorboard --logdir {files.all_logs}"] if files.all_logs.is_dir() else [],
        "in a browser": [demo_command(run)] if exported else [],
    }
    for name, things in there.items():
        if things:
            logger.info(f"{name}: {'  '.join(map(str, things))}")


def _recommended(run: Run) -> dict[str, list[str]]:
    """The command that exports what the report recommends, where that isn't what was exported."""
    try:
        name = recommended_row(run)
    except InputError:  # no report of these networks, or nothing within the budget
        return {}
    exported = f"bridge_{len(run.config.bridge_pairs())}"
    if name == exported:
        return {}
    command = ["bridge-tf", "export", f"--workdir={run.files.path}"]
    command += [f"--export_dir={run.config.export_dir}", f"--ensemble={RECOMMENDED}"]
    if run.config.imports:
        command.append(f"--imports={','.join(run.config.imports)}")
    return {f"the model is {exported}; the report's choice, {name}": [shlex.join(command)]}


def demo_command(run: Run) -> str:
    """The command that shows the export in a browser."""
    command = ["bridge-tf", "demo", f"--workdir={run.files.path}"]
    if run.files.read_config().export_dir != run.config.export_dir:
        command.append(f"--export_dir={run.config.export_dir}")
    return shlex.join(command)
