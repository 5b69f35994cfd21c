"""bridge-tf study: compares settings of bridges on a finished run."""

import dataclasses

from bridge_tf.cli.command import Command, FinishedRun, print_json, some_of
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError

USAGE = """
Trains more bridges on the modes and curves of a finished run, to compare their settings. Prints one
JSON object for each result and writes no files.

    bridge-tf study --workdir=DIR --study=taps,warm_start,conditioned,alignment

taps: where to tap and how wide, at equal cost. warm_start: random weights or the curve member's,
for a body of width 1. conditioned: one bridge for all r, or one for each position. alignment: loss
on the line and the curve between two modes, with and without matched neurons.
"""

STUDIES = ("taps", "warm_start", "conditioned", "alignment")


@dataclasses.dataclass(frozen=True)
class Options(FinishedRun):
    """The run and its studies."""

    study: list[str] = setting(STUDIES, "Studies, comma-separated.", choices=STUDIES)
    curves: int = setting(1, "Number of the run's curves to use.", low=1)
    budgets: list[float] = setting(
        (0.1, 0.2, 0.3), "For taps: budgets of a bridge, FLOPs relative to the base's."
    )
    shared_until: str = setting(
        "", "For conditioned: adds a bridge of width 1 that does not depend on r up to this layer."
    )


def _study(flags: Flags) -> None:
    options = flags.options
    names = some_of("study", options.study, STUDIES)
    run = existing_run(flags)
    if not run.config.curves():
        raise InputError("`workdir`: studies need a run with `bridge_target=curve`")
    run.files.need(
        [run.files.curve(pair) for pair in run.config.curves()[: options.curves]],
        "study",
        "modes,curves",
    )
    if run.config.bridge_type == 2:
        raise InputError("`workdir`: studies need a run with `bridge_type=1`")
    from bridge_tf.runs.studies import Studies

    studies = Studies(run, options.curves, options.budgets, options.shared_until)
    rows = {
        "taps": studies.taps_and_widths,
        "warm_start": studies.warm_start,
        "conditioned": studies.conditioned,
        "alignment": studies.alignment,
    }
    for name in names:
        for row in rows[name]():
            print_json(row)


COMMAND = Command(USAGE, _study, Options, settings=("imports",))
