"""bridge-tf benchmark: how fast it is, as ratios."""

import dataclasses
import json

from bridge_tf.cli.command import Command, some_of
from bridge_tf.cli.existing import import_keras
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError

USAGE = """
Times training steps, or exported files, on random images and prints one JSON object a measurement.

    bridge-tf benchmark --measure=curve_step,bridge_step,pipeline [--model=resnet8 --norm=frn]
    bridge-tf benchmark --measure=curve_step,curve_memory --model=MobileNetV2 --image_size=96
    bridge-tf benchmark --measure=latency --files=saved_models/digits.tflite,saved_models/digits/1

Images of training steps are 32×32 unless --image_size says otherwise.

Each ratio is measured within this process, the two sides in turn, of the fastest round of each;
median, lowest and highest of the ratios round by round tell how noisy the machine is.

latency has an object a file, signature (base, serving_default) and number of threads: median and
95th percentile, in ms, of forward passes of --batch_size (1 unless given) random images of the type
and shape that the signature takes, from NumPy to NumPy; and the ratio to the base of the first
file, with which each is timed in turn: the median of --rounds (100 unless given) rounds of 5 calls
each. Each number of threads has a process of its own.
"""

TRAINING = ("curve_step", "curve_memory", "bridge_step", "pipeline")
MEASURES = (*TRAINING, "latency")
MOST_THREADS = 256
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
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The measurements."""

    measure: list[str] = setting(
        ("curve_step", "bridge_step", "pipeline"), "What to measure.", choices=MEASURES
    )
    steps: int = setting(30, "Steps a timing; each begins a new epoch, which takes a while.", low=1)
    rounds: int = setting(7, "Timings of each side.", low=1)
    files: list[str] = setting((), "For latency: exported .tflite files and SavedModel folders.")
    threads: list[str] = setting(("1", "2"), "For latency: numbers of threads.")


def _benchmark(flags: Flags) -> None:
    options = flags.options
    measures = some_of("measure", options.measure, MEASURES)
    # Checked before anything slow is imported.
    config, latency = flags.config(SETTINGS), _latency_settings(flags, "latency" in measures)
    training = [name for name in measures if name in TRAINING]
    if training:
        import_keras()
        from bridge_tf.evaluation.benchmarks import Benchmarks

        benchmarks = Benchmarks(config, options.steps, options.rounds)
        measured = {
            "curve_step": benchmarks.curve_step,
            "curve_memory": benchmarks.curve_memory,
            "bridge_step": benchmarks.bridge_step,
            "pipeline": benchmarks.pipeline,
        }
        for name in training:
            print(json.dumps(measured[name]()), flush=True)
    if latency:
        from bridge_tf.evaluation.latency import latencies

        for row in latencies(**latency):
            print(json.dumps(row), flush=True)


def _latency_settings(flags: Flags, wanted: bool) -> dict:
    """The arguments of `latencies`; none where it isn't wanted.

    Raises:
        InputError: a file is none that can be measured, flags of latency are given without it, or
            it without files.
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
    from bridge_tf.evaluation.latency import check_files

    settings = {"files": check_files(options.files), "threads": _threads(options.threads)}
    # The defaults of these two are those of training steps.
    if flags.is_given("rounds"):
        settings["rounds"] = options.rounds
    return {**settings, **flags.given(["batch_size"])}


def _threads(given: tuple[str, ...]) -> list[int]:
    counts = [int(text) if text.isdecimal() and text.isascii() else 0 for text in given]
    if not counts or not all(1 <= count <= MOST_THREADS for count in counts):
        raise InputError(
            f"`threads={','.join(given)}`: must be whole numbers from 1 to {MOST_THREADS} between "
            "commas"
        )
    return counts


COMMAND = Command(USAGE, _benchmark, Options, settings=SETTINGS)
