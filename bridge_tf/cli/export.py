"""bridge-tf export: the deployable files of a finished run."""

import dataclasses

from bridge_tf.cli.command import Command, FinishedRun, Writer, required
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.files import check_writable

USAGE = """
Exports the ensemble of a finished run as a SavedModel and a TFLite file.

    bridge-tf export --workdir=DIR --export_dir=DIR [--tflite=float32,float16,int8,int8_dynamic]
    bridge-tf export --workdir=DIR --export_dir=DIR [--formats=saved_model,tflite,onnx] [--single]
    bridge-tf export --workdir=DIR --export_dir=DIR --ensemble=ROW

A row of the report, such as deep_ensemble_2 or cascade_2, or the recommended one is exported as
NAME-ROW; without --ensemble, the bridge ensemble is exported as NAME.
"""
_SETTINGS = (
    *("formats", "single", "tflite", "tflite_io", "max_accuracy_drop"),
    *("calibrate", "coverage", "latency", "early_exit_budget"),
)


@dataclasses.dataclass(frozen=True)
class Options(Writer, FinishedRun):
    """The run."""

    export_dir: str = setting("", "Folder for the exported model.")
    ensemble: str = setting("", "Row of the report to export, or recommended; default: bridges.")


def _export(flags: Flags) -> None:
    folder = required("export_dir", flags.options.export_dir)
    check_writable("export_dir", folder)
    run = existing_run(flags, ["export"], export_dir=folder, **flags.given(_SETTINGS))
    from bridge_tf.runs.artifacts import exported_files
    from bridge_tf.runs.runner import execute, export_one

    if row := flags.options.ensemble:
        paths = export_one(run, row)
    else:
        execute(run)
        paths = exported_files(run)
    for path in paths:
        print(path)


COMMAND = Command(USAGE, _export, Options, settings=("imports", *_SETTINGS))
