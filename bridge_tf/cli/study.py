"""bridge-tf study: what makes bridges good, on the modes and curves of a finished run."""

import dataclasses
import json

from bridge_tf.cli.command import Command, FinishedRun, some_of
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError

USAGE = """
Trains further bridges on the modes and curves of a finished run and prints one JSON object each.

    bridge-tf study --workdir=DIR --study=taps,warm_start,conditioned,alignment

taps: where to tap and how wide a body, at equal cost. warm_start: a body of width 1 from fresh
weights or the curve member's. conditioned: one bridge for all r or one a position. alignment:
loss along line and curve between modes, with neurons matched or not. Nothing is written.
"""

STUDIES = ("taps", "warm_start", "conditioned", "alignment")


@dataclasses.dataclass(frozen=True)
class Options(FinishedRun):
    """The run and its studies."""

    study: list[str] = setting(STUDIES, "Studies, between commas.", choices=STUDIES)
    curves: int = setting(1, "Use so many of the run's curves.", low=1)
    budgets: list[float] = setting((0.1, 0.2, 0.3), "Budgets of taps.")
    shared_until: str = setting(
        "",
        "For conditioned, a layer up to which a further bridge, of width 1, is the same for all r.",
    )


def _study(flags: Flags) -> None:
    options = flags.options
    names = some_of("study", options.study, STUDIES)
    run = existing_run(flags)
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
            print(json.dumps(row), flush=True)


COMMAND = Command(USAGE, _study, Options, settings=("imports",))
