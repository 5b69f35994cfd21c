"""bin/export: the deployable files of a finished run."""

import sys

from absl import flags

from bridge_tf.cli import app

USAGE = """
Exports a finished run's ensemble as a SavedModel and a TFLite file.

    bin/export --workdir=DIR --export_dir=DIR [--tflite=float32,float16,int8,int8_dynamic]
"""
_SETTINGS = (
    *("tflite", "tflite_io", "fuse_bridges", "max_accuracy_drop", "latency"),
    "early_exit_budget",
)


def main() -> None:
    app.define_workdir_flags()
    app.define_wait_flag()
    flags.DEFINE_string("export_dir", "", "Folder for the exported model.", module_name=sys.argv[0])
    app.define_config_flags(_SETTINGS)
    app.run(_export, USAGE)


def _export(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    changes = app.given_settings(_SETTINGS)
    run = app.existing_run(export_dir=app.required("export_dir"), **changes)
    run.run(["export"])
    for path in run.exported_files():
        print(path)
