"""bridge-tf evaluate: evaluates a finished run again."""

import dataclasses
import pathlib

from bridge_tf.cli.command import Command, FinishedRun, Writer, required
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.runs.read_only import writable
from bridge_tf.utils.errors import InputError

USAGE = """
Evaluates a finished run again, writes its report and prints the table.

    bridge-tf evaluate --workdir=DIR [--ood_dataset=DATA] [--corruptions=noise,jpeg] [--loss_plane]
"""
_SETTINGS = (
    *("early_exit_budget", "average_cost", "coverage"),
    *("budget_flops", "budget_worst_flops", "budget_params", "budget_bytes"),
    *("ood_dataset", "corruptions", "corruption_images"),
)


@dataclasses.dataclass(frozen=True)
class Options(Writer, FinishedRun):
    """The run."""

    loss_plane: bool = setting(
        False,
        "Also measure the loss on the plane through the first curve's ends and control point.",
    )
    loss_plane_points: int = setting(
        21, "Points on each side of the plane's grid.", low=3, high=1000
    )
    loss_plane_images: int = setting(1000, "Maximum number of test images for the plane.", low=1)


def _evaluate(flags: Flags) -> None:
    options = flags.options
    for name in ("loss_plane_points", "loss_plane_images"):
        if flags.is_given(name) and not options.loss_plane:
            raise InputError(f"`{name}`: tells how `loss_plane` is measured; give that too")
    with writable(required("workdir", options.workdir)) as workdir:
        kept = workdir == pathlib.Path(options.workdir)
        run = existing_run(flags, workdir=str(workdir), **flags.given(_SETTINGS))
        if flags.is_given("corruption_images") and not run.config.corruptions:
            raise InputError(
                "`corruption_images`: tells how `corruptions` is measured; give that too"
            )
        plane = None
        if options.loss_plane:
            from bridge_tf.evaluation.plane import check_degree

            check_degree(run.config.curve_degree)
            plane = options.loss_plane_points, options.loss_plane_images
        from bridge_tf.runs.runner import measure_again

        measure_again(run, plane, kept)


COMMAND = Command(USAGE, _evaluate, Options, settings=("imports", *_SETTINGS))
