"""bin/benchmark: how fast it is, as ratios."""

import json
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.errors import InputError

USAGE = """
Times training steps on CIFAR-sized images and prints one JSON object a measurement.

    bin/benchmark --measure=curve_step,bridge_step,pipeline [--model=resnet8 --norm=frn]

Each ratio is measured within this process, the two sides in turn; the median of the rounds counts.
"""

MEASURES = ("curve_step", "bridge_step", "pipeline")


def main() -> None:
    module = sys.argv[0]
    flags.DEFINE_list("measure", list(MEASURES), "What to time.", module_name=module)
    flags.DEFINE_integer("steps", 10, "Steps a timing.", 1, module_name=module)
    flags.DEFINE_integer("rounds", 7, "Timings of each side.", 1, module_name=module)
    app.define_config_flags(("model", "norm", "width", "batch_size", "jit_compile"))
    app.run(_benchmark, USAGE)


def _benchmark(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    values = flags.FLAGS
    unknown = [name for name in values.measure if name not in MEASURES]
    if unknown:
        raise InputError(f"--measure={unknown[0]}: must be one of {', '.join(MEASURES)}")
    app.import_keras()
    from bridge_tf.benchmarks import Benchmarks

    benchmarks = Benchmarks(
        model=values.model,
        norm=values.norm,
        width=values.width,
        batch_size=values.batch_size,
        steps=values.steps,
        rounds=values.rounds,
        jit_compile=values.jit_compile,
    )
    for name in values.measure:
        print(json.dumps(getattr(benchmarks, name)()), flush=True)
