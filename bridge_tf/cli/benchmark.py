"""bin/benchmark: how fast it is, as ratios."""

import json
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.config import Config
from bridge_tf.utils.errors import InputError

USAGE = """
Times training steps, or exported files, on random images and prints one JSON object a measurement.

    bin/benchmark --measure=curve_step,bridge_step,pipeline [--model=resnet8 --norm=frn]
    bin/benchmark --measure=curve_step,curve_memory --model=MobileNetV2 --image_size=96
    bin/benchmark --measure=latency --files=saved_models/digits.tflite,saved_models/digits/1

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
KNOWN = ", ".join(MEASURES)
DEFAULT = ("curve_step", "bridge_step", "pipeline")
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


def main() -> None:
    module = sys.argv[0]
    flags.DEFINE_list("measure", list(DEFAULT), f"What to measure: {KNOWN}.", module_name=module)
    flags.DEFINE_integer(
        "steps",
        30,
        "Steps a timing; each begins a new epoch, which takes a while.",
        1,
        module_name=module,
    )
    flags.DEFINE_integer("rounds", 7, "Timings of each side.", 1, module_name=module)
    flags.DEFINE_list(
        "files",
        [],
        "For latency: exported .tflite files and SavedModel folders.",
        module_name=module,
    )
    flags.DEFINE_list("threads", ["1", "2"], "For latency: numbers of threads.", module_name=module)
    app.define_config_flags(SETTINGS)
    app.run(_benchmark, USAGE)


def _benchmark(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    measures = app.chosen("measure", MEASURES)
    # Checks them, before anything slow is imported.
    config = Config(**{name: flags.FLAGS[name].value for name in SETTINGS})
    latency = _latency_settings("latency" in measures)
    training = [name for name in measures if name in TRAINING]
    if training:
        app.import_keras()
        from bridge_tf.evaluation.benchmarks import Benchmarks

        benchmarks = Benchmarks(config, flags.FLAGS.steps, flags.FLAGS.rounds)
        for name in training:
            print(json.dumps(getattr(benchmarks, name)()), flush=True)
    if latency:
        from bridge_tf.evaluation.latency import latencies

        for row in latencies(**latency):
            print(json.dumps(row), flush=True)


def _latency_settings(wanted: bool) -> dict:
    """The arguments of `latencies`; none where it isn't wanted.

    Raises:
        InputError: a file is none that can be measured, flags of latency are given without it, or
            it without files.
    """
    own = {name: flags.FLAGS[name] for name in ("files", "threads")}
    if not wanted:
        for name, flag in own.items():
            if flag.present:
                raise InputError(f"--{name}: is for --measure=latency; add that, or leave it out")
        return {}
    if not own["files"].value:
        raise InputError(
            "--files: missing; name exported files, as in --files=saved_models/a.tflite"
        )
    from bridge_tf.evaluation.latency import check_files

    files = check_files(own["files"].value)
    # The defaults of these two are those of training steps.
    others = {name: flags.FLAGS[name] for name in ("batch_size", "rounds")}
    others = {name: flag.value for name, flag in others.items() if flag.present}
    return {"files": files, "threads": _threads(own["threads"].value), **others}


def _threads(given: list[str]) -> list[int]:
    counts = [int(text) if text.isdecimal() and text.isascii() else 0 for text in given]
    if not counts or not all(1 <= count <= MOST_THREADS for count in counts):
        raise InputError(
            f"--threads={','.join(given)}: must be whole numbers from 1 to {MOST_THREADS} between "
            "commas"
        )
    return counts
