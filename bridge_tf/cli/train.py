"""bridge-tf train: all stages of a run."""

import dataclasses
import os

from bridge_tf.cli.command import Command, Writer, required, some_of
from bridge_tf.cli.existing import run_of
from bridge_tf.cli.flags import Flags
from bridge_tf.config import STAGES
from bridge_tf.config.validation import setting
from bridge_tf.runs.executors.ray import ENVIRONMENT
from bridge_tf.runs.places import check_places
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError

USAGE = """
Trains modes, the curves between them and the bridges, evaluates them, and exports the ensemble.

    bridge-tf train --flagfile=configs/digits.flags [--workdir=DIR] [--export_dir=DIR] [--dry_run]

The same command resumes an interrupted run. It does nothing to a finished one.
"""


@dataclasses.dataclass(frozen=True)
class Options(Writer):
    """The run."""

    workdir: str = setting("", "Folder of the run's files.")
    stages: list[str] = setting(STAGES, "Stages to run, comma-separated.", choices=STAGES)
    smoke: bool = setting(
        False, "Only test that the recipe runs: two modes, one epoch each, few images."
    )
    repair: bool = setting(False, "Make the run's damaged files again.")
    dry_run: bool = setting(False, "Only print the run's tasks with their state and cost.")


def _train(flags: Flags) -> None:
    options, config = flags.options, flags.config()
    if options.smoke:
        config = config.smoke()
    workdir = required("workdir", options.workdir)
    stages = some_of("stages", options.stages, STAGES)
    if options.dry_run and options.repair:
        raise InputError("`dry_run`: writes nothing; leave `repair` out")
    if config.executor == "ray":  # tasks on this machine need its GPU memory
        os.environ.update(ENVIRONMENT | os.environ)
    check_places(config, WorkDir(workdir, options.repair), stages, options.dry_run)
    run = run_of(config, workdir, stages=stages, wait=options.wait, repair=options.repair)
    if options.dry_run:
        from bridge_tf.runs.dry_run import Plan

        print(Plan(run).text())
    elif config.executor == "ray":
        from bridge_tf.runs.executors.ray.executor import execute_on_ray

        execute_on_ray(run)
    else:
        from bridge_tf.runs.runner import execute

        execute(run)


COMMAND = Command(USAGE, _train, Options, settings=None, resumable=True)
