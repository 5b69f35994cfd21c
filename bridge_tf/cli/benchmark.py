"""bin/benchmark: how fast it is, as ratios."""

import json
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.config import Config

USAGE = """
Times training steps on random images and prints one JSON object a measurement.

    bin/benchmark --measure=curve_step,bridge_step,pipeline [--model=resnet8 --norm=frn]
    bin/benchmark --measure=curve_step,curve_memory --model=MobileNetV2 --image_size=96

Images are 32×32 unless --image_size says otherwise.

Each ratio is measured within this process, the two sides in turn, of the fastest round of each;
median, lowest and highest of the ratios round by round tell how noisy the machine is.
"""

MEASURES = ("curve_step", "curve_memory", "bridge_step", "pipeline")
KNOWN = ", ".join(MEASURES)
DEFAULT = ("curve_step", "bridge_step", "pipeline")
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
    app.define_config_flags(SETTINGS)
    app.run(_benchmark, USAGE)


def _benchmark(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    measures = app.chosen("measure", MEASURES)
    # Checks them, before anything slow is imported.
    config = Config(**{name: flags.FLAGS[name].value for name in SETTINGS})
    app.import_keras()
    from bridge_tf.benchmarks import Benchmarks

    benchmarks = Benchmarks(config, flags.FLAGS.steps, flags.FLAGS.rounds)
    for name in measures:
        print(json.dumps(getattr(benchmarks, name)()), flush=True)
