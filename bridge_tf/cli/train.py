"""bin/train: all stages of a run."""

import os
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.config import STAGES
from bridge_tf.runs.executors.ray import ENVIRONMENT
from bridge_tf.utils.errors import InputError

USAGE = """
Trains modes, the curves between them and the bridges, compares them, and exports the ensemble.

    bin/train --flagfile=configs/digits.flags [--workdir=DIR] [--export_dir=DIR] [--dry_run]

Run again with the same flags it goes on where it was, or does nothing.
"""


def main() -> None:
    flags.DEFINE_string("workdir", "", "Folder of the run's files.", module_name=sys.argv[0])
    flags.DEFINE_list(
        "stages", list(STAGES), "Stages to run, between commas.", module_name=sys.argv[0]
    )
    flags.DEFINE_bool(
        "smoke",
        False,
        "Only show that the recipe runs: two modes, one epoch each, few images.",
        module_name=sys.argv[0],
    )
    flags.DEFINE_bool(
        "repair", False, "Make damaged files of the run again.", module_name=sys.argv[0]
    )
    flags.DEFINE_bool(
        "dry_run",
        False,
        "Only print the run's tasks: which are done, and what each takes.",
        module_name=sys.argv[0],
    )
    app.define_wait_flag()
    app.define_config_flags()
    app.run(_train, USAGE, resumable=True)


def _train(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    config = app.config_from_flags()
    if flags.FLAGS.smoke:
        config = config.smoke()
    workdir = app.required("workdir")
    if flags.FLAGS.dry_run and flags.FLAGS.repair:
        raise InputError("--dry_run: writes nothing; leave --repair out")
    if config.executor == "ray":  # tasks on this machine need its GPUs' memory
        os.environ.update(ENVIRONMENT | os.environ)
    pipeline = app.pipeline(config, workdir)
    if flags.FLAGS.dry_run:
        from bridge_tf.runs.dry_run import Plan

        print(Plan(pipeline, flags.FLAGS.stages).text())
    elif config.executor == "ray":
        from bridge_tf.runs.executors.ray.executor import run_on_ray

        run_on_ray(pipeline, flags.FLAGS.stages)
    else:
        pipeline.run(flags.FLAGS.stages)
