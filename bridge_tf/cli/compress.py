"""bridge-tf compress: smaller files of a finished run's exported ensemble."""

import dataclasses

from bridge_tf.cli.command import Command, FinishedRun, Writer, required, some_of
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.export.compression.settings import METHODS, Compression
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.extras import check_extra
from bridge_tf.utils.files import check_writable

USAGE = """
Compresses the exported ensemble of a finished run with TensorFlow Model Optimization.

    bridge-tf compress --workdir=DIR --export_dir=DIR --method=qat,prune,cluster

qat: quantization-aware training, weights and activations rounded to 8 bits. prune: sets weights to
0. cluster: lets weights share a few values. Each method trains the ensemble further, with the
original predictions as targets, writes EXPORT_DIR/NAME.METHOD.tflite and measures it on the test
split.
"""
_SETTINGS = ("tflite", "tflite_io", "max_accuracy_drop", "calibrate", "latency")
_DEFAULTS = Compression("qat")


@dataclasses.dataclass(frozen=True)
class Options(Writer, FinishedRun):
    """The run and the compression."""

    export_dir: str = setting("", "Folder of the exported model.")
    method: list[str] = setting(
        (), "Methods, comma-separated; each writes a file.", choices=METHODS
    )
    epochs: int = setting(_DEFAULTS.epochs, "Epochs of training.", low=1)
    learning_rate: float = setting(
        _DEFAULTS.learning_rate, "Initial learning rate of Adam.", above=0
    )
    sparsity: float = setting(
        _DEFAULTS.sparsity,
        "With prune, the share of a layer's weights that become 0.",
        above=0,
        below=1,
    )
    clusters: int = setting(
        _DEFAULTS.clusters,
        "With cluster, the number of values that a layer's weights share.",
        low=2,
        high=65_536,
    )


def _compress(flags: Flags) -> None:
    options = flags.options
    methods = some_of("method", options.method, METHODS)
    if methods == ["qat"] and flags.is_given("tflite"):
        raise InputError("`tflite`: qat writes files of 8 bits only; leave it out")
    settings = {
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "sparsity": options.sparsity,
        "clusters": options.clusters,
    }
    # The run's own --tflite is for its export, not for compression.
    changes = {"tflite": ("float32",), **flags.given(_SETTINGS)}
    export_dir = required("export_dir", options.export_dir)
    check_writable("export_dir", export_dir)
    run = existing_run(flags, export_dir=export_dir, **changes)
    for module in ("tensorflow_model_optimization", "tf_keras"):
        check_extra(module, f"method={','.join(methods)}")
    from bridge_tf.runs.stages.compress import compress

    for path in compress(run, [Compression(method, **settings) for method in methods]):
        print(path)


COMMAND = Command(USAGE, _compress, Options, settings=("imports", *_SETTINGS))
