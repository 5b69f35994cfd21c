"""bin/compress: smaller files of a finished run's exported ensemble."""

import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.export.compression.settings import METHODS, Compression
from bridge_tf.utils.errors import InputError

USAGE = """
Compresses a finished run's exported ensemble by TensorFlow Model Optimization: qat trains it with
weights and activations rounded to 8 bits, prune sets weights to 0, cluster lets weights share a few
values. Each goes on from the ensemble's weights, with its own answers as targets, and writes
EXPORT_DIR/NAME.METHOD.tflite, measured on the test split.

    bin/compress --workdir=DIR --export_dir=DIR --method=qat,prune,cluster
"""
_SETTINGS = ("tflite", "tflite_io", "max_accuracy_drop", "latency")
_DEFAULTS = Compression("qat")


def main() -> None:
    module = sys.argv[0]
    app.define_workdir_flags()
    app.define_wait_flag()
    flags.DEFINE_string("export_dir", "", "Folder of the exported model.", module_name=module)
    flags.DEFINE_list(
        "method", [], f"What to do, one file each: {', '.join(METHODS)}.", module_name=module
    )
    flags.DEFINE_integer(
        "epochs", _DEFAULTS.epochs, "Passes over the training images.", 1, module_name=module
    )
    flags.DEFINE_float(
        "learning_rate", _DEFAULTS.learning_rate, "Of Adam, at the start.", module_name=module
    )
    flags.DEFINE_float(
        "sparsity",
        _DEFAULTS.sparsity,
        "With prune, the share of a layer's weights that become 0, between 0 and 1.",
        module_name=module,
    )
    flags.DEFINE_integer(
        "clusters",
        _DEFAULTS.clusters,
        "With cluster, how many values a layer's weights share.",
        2,
        module_name=module,
    )
    app.define_config_flags(_SETTINGS)
    app.run(_compress, USAGE)


def _compress(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    methods = list(dict.fromkeys(app.chosen("method", METHODS)))
    names = ("epochs", "learning_rate", "sparsity", "clusters")
    settings = {name: flags.FLAGS[name].value for name in names}
    if not settings["learning_rate"] > 0:
        raise InputError(f"--learning_rate={settings['learning_rate']:g}: must be above 0")
    if not 0 < settings["sparsity"] < 1:
        raise InputError(f"--sparsity={settings['sparsity']:g}: must lie between 0 and 1")
    if methods == ["qat"] and flags.FLAGS["tflite"].present:
        raise InputError("--tflite: qat writes files of 8 bits only; leave it out")
    # Of the run's own settings --tflite isn't taken over: it told what to export.
    changes = {"tflite": ["float32"], **app.given_settings(_SETTINGS)}
    run = app.existing_run(export_dir=app.required("export_dir"), **changes)
    for path in run.compress([Compression(method, **settings) for method in methods]):
        print(path)
