"""bridge-tf benchmark: speed and memory, as ratios."""

import dataclasses
import pathlib

from bridge_tf.cli.command import Command, print_json, some_of
from bridge_tf.cli.existing import import_keras
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.model_files import check_model_file
from bridge_tf.config.estimates import check_size
from bridge_tf.config.inputs import check_networks
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError, reason

USAGE = """
Times training steps or exported files on random images. Prints one JSON object for each result.

    bridge-tf benchmark --measure=curve_step,bridge_step,pipeline [--model=resnet8 --norm=frn]
    bridge-tf benchmark --measure=curve_step,curve_memory --model=MobileNetV2 --image_size=96
    bridge-tf benchmark --measure=latency --files=saved_models/digits.tflite,saved_models/digits/1

Images of training steps are 32×32 by default (--image_size).

Training steps: the two sides of a ratio are timed in turn, in one process. The ratio is that of the
fastest rounds. The median, lowest and highest ratio of single rounds show how noisy the machine is.

latency: one object for each file, signature (base, serving_default) and number of threads. It has
the median and 95th percentile, in ms, of a forward pass of --batch_size (default: 1) random images,
from NumPy to NumPy, and the ratio to the base of the first file. The two are timed in turn; the
ratio is the median of --rounds (default: 100) rounds of 5 calls each. Each number of threads is
measured in its own process.
"""

TRAINING = ("curve_step", "curve_memory", "bridge_step", "pool_step", "pipeline")
MEASURES = (*TRAINING, "latency")
MOST_THREADS = 256
IMAGE_SIZE = 32  # of training steps, unless another is given
_FILES = "name exported .tflite files, or folders with a saved_model.pb"
SETTINGS = (
    "model",
    "norm",
    "width",
    "input_size",
    "preprocessing",
    "image_size",
    "taps",
    "bridge_width",
    "bridge_budget",
    "batch_size",
    "jit_compile",
    "precision",
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The measurements."""

    measure: list[str] = setting(
        ("curve_step", "bridge_step", "pipeline"), "What to measure.", choices=MEASURES
    )
    steps: int = setting(
        30, "Steps in a timing; each timing also starts an epoch, which takes time.", low=1
    )
    rounds: int = setting(7, "Number of timings of each side.", low=1)
    files: list[str] = setting((), "For latency: exported .tflite files and SavedModel folders.")
    threads: list[str] = setting(("1", "2"), "For latency: numbers of threads, comma-separated.")


def _benchmark(flags: Flags) -> None:
    options = flags.options
    measures = some_of("measure", options.measure, MEASURES)
    # Check before slow imports.
    config, latency = flags.config(SETTINGS), _latency_settings(flags, "latency" in measures)
    training = [name for name in measures if name in TRAINING]
    if training:
        check_size(config, config.image_size or IMAGE_SIZE)
        check_networks(config)
        import_keras()
        from bridge_tf.evaluation.benchmarks import Benchmarks

        benchmarks = Benchmarks(config, options.steps, options.rounds)
        measured = {
            "curve_step": benchmarks.curve_step,
            "curve_memory": benchmarks.curve_memory,
            "bridge_step": benchmarks.bridge_step,
            "pool_step": benchmarks.pool_step,
            "pipeline": benchmarks.pipeline,
        }
        for name in training:
            print_json(measured[name]())
    if latency:
        from bridge_tf.evaluation.latency import latencies

        _check_runs(latency["files"])
        for row in latencies(**latency):
            print_json(row)


def _latency_settings(flags: Flags, wanted: bool) -> dict:
    """The arguments of `latencies`; empty if it isn't requested.

    Raises:
        InputError: a file can't be measured, or only one of latency and its flags is given.
    """
    options = flags.options
    if not wanted:
        for name in ("files", "threads"):
            if flags.is_given(name):
                raise InputError(f"`{name}`: is for `measure=latency`; add that, or leave it out")
        return {}
    if not options.files:
        raise InputError(
            "`files`: missing; name exported files, as in `files=saved_models/a.tflite`"
        )
    for path in options.files:
        check_model_file("files", path, _FILES)
    from bridge_tf.evaluation.latency import check_files

    settings = {"files": check_files(options.files), "threads": _threads(options.threads)}
    # The defaults of these two are for training steps.
    if flags.is_given("rounds"):
        settings["rounds"] = options.rounds
    return {**settings, **flags.given(["batch_size"])}


def _check_runs(files: list[pathlib.Path]) -> None:
    """Finds .tflite files that can't be run, before a process is started for them."""
    from bridge_tf.evaluation.latency import litert_runner

    for path in files:
        for signature in ("base", "serving_default") if path.is_file() else ():
            try:
                litert_runner(path, signature)
            except InputError:
                raise
            except Exception as error:  # damaged files raise all sorts
                raise InputError(
                    f"`files`: {path} can't be run ({reason(error)}); {_FILES}"
                ) from error


def _threads(given: tuple[str, ...]) -> list[int]:
    counts = [int(text) if text.isdecimal() and text.isascii() else 0 for text in given]
    if not counts or not all(1 <= count <= MOST_THREADS for count in counts):
        raise InputError(
            f"`threads={','.join(given)}`: must be whole numbers from 1 to {MOST_THREADS} between "
            "commas"
        )
    return counts


COMMAND = Command(USAGE, _benchmark, Options, settings=SETTINGS)
