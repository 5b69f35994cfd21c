"""bin/study: what makes bridges good, on the modes and curves of a finished run."""

import json
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.utils.errors import InputError

USAGE = """
Trains further bridges on the modes and curves of a finished run and prints one JSON object each.

    bin/study --workdir=DIR --study=taps,warm_start,conditioned,alignment

taps: where to tap and how wide a body, at equal cost. warm_start: a body of width 1 from fresh
weights or the curve member's. conditioned: one bridge for all r or one a position. alignment:
loss along line and curve between modes, with neurons matched or not. Nothing is written.
"""

STUDIES = {
    "taps": "taps_and_widths",
    "warm_start": "warm_start",
    "conditioned": "conditioned",
    "alignment": "alignment",
}


def main() -> None:
    module = sys.argv[0]
    app.define_workdir_flags()
    known = ", ".join(STUDIES)
    flags.DEFINE_list("study", list(STUDIES), f"Studies: {known}.", module_name=module)
    flags.DEFINE_integer("curves", 1, "Use so many of the run's curves.", 1, module_name=module)
    flags.DEFINE_list("budgets", ["0.1", "0.2", "0.3"], "Budgets of taps.", module_name=module)
    flags.DEFINE_string(
        "shared_until",
        "",
        "For conditioned, a layer up to which a further bridge, of width 1, is the same for all r.",
        module_name=module,
    )
    app.run(_study, USAGE)


def _study(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    names = app.chosen("study", list(STUDIES))
    budgets = app.numbers("budgets")
    run = app.existing_run()
    run.files.need(
        [run.files.curve(pair) for pair in run.config.curves()[: flags.FLAGS.curves]],
        "study",
        "modes,curves",
    )
    if run.config.bridge_type == 2:
        raise InputError("--workdir: studies need a run with --bridge_type=1")
    from bridge_tf.runs.studies import Studies

    studies = Studies(run, flags.FLAGS.curves, budgets, flags.FLAGS.shared_until)
    for name in names:
        for row in getattr(studies, STUDIES[name])():
            print(json.dumps(row), flush=True)
