"""bridge-tf evaluate: evaluates a finished run again, or puts several into one report."""

import dataclasses
import pathlib
from collections.abc import Sequence

from bridge_tf.cli.command import Command, FinishedRun, Writer, required
from bridge_tf.cli.existing import existing_run
from bridge_tf.cli.flags import Flags
from bridge_tf.config.result_fields import BUDGETS
from bridge_tf.config.validation import setting
from bridge_tf.runs.read_only import writable
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import logger

USAGE = """
Evaluates a finished run again, writes its report and prints the table.

    bridge-tf evaluate --workdir=DIR [--ood_dataset=DATA] [--corruptions=noise,jpeg] [--loss_plane]

Puts finished runs that differ in --seed alone into one report, with standard errors over runs and
intervals over runs and images:

    bridge-tf evaluate --workdirs=DIR,DIR,DIR --output=DIR

Says after two modes of a run whether going on is likely worth it, by its validation images:

    bridge-tf evaluate --workdir=DIR --forecast
"""
_OTHER_DATA = ("ood_dataset", "corruptions", "corruption_images")
_SETTINGS = ("early_exit_budget", "average_cost", "coverage", *BUDGETS, *_OTHER_DATA)
_PLANE = ("loss_plane", "loss_plane_points", "loss_plane_images")


@dataclasses.dataclass(frozen=True)
class Options(Writer, FinishedRun):
    """The run."""

    workdirs: list[str] = setting(
        (), "Folders of finished runs to put into one report, comma-separated; for `output`."
    )
    output: str = setting("", "With `workdirs`, folder for report.json, report.md, report.html.")
    forecast: bool = setting(
        False,
        "Only print what two modes gain over one on the validation images; two modes suffice.",
    )
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
    if options.workdirs:
        _pool(flags)
        return
    _refuse(flags, ("output",), "needs `workdirs`")
    if options.forecast:
        _forecast(flags)
        return
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


def _pool(flags: Flags) -> None:
    others = (
        *("workdir", "forecast", "data_dir", "wait", "imports"),
        *("early_exit_budget", "average_cost", "coverage"),
    )
    _refuse(flags, (*others, *_OTHER_DATA, *_PLANE), "not with `workdirs`; leave one of them out")
    output = required("output", flags.options.output)
    flags.config(BUDGETS)  # which finds values that are out of range
    from bridge_tf.report.pooled import lead, render_pooled_table
    from bridge_tf.report.pooled_pages import check_output, write_pooled
    from bridge_tf.runs.pooling import pool_report

    folder = check_output(output)
    report = pool_report(flags.options.workdirs, flags.given(BUDGETS))
    write_pooled(folder, report)
    print("".join(text for text, _ in lead(report)))
    print(render_pooled_table(report), flush=True)
    for warning in report["warnings"]:
        logger.warning("evaluate: WARNING: %s", warning)
    logger.info("report: %s", folder / "report.html")


def _forecast(flags: Flags) -> None:
    others = ("wait", "early_exit_budget", *BUDGETS, *_OTHER_DATA, *_PLANE)
    _refuse(flags, others, "not with `forecast`; leave one of them out")
    run = existing_run(flags, **flags.given(["average_cost"]))
    from bridge_tf.report.forecast import render_forecast
    from bridge_tf.runs.forecast import forecast_of

    print(render_forecast(forecast_of(run)), flush=True)


def _refuse(flags: Flags, names: Sequence[str], why: str) -> None:
    """Raises an InputError for flags that would be ignored."""
    for name in names:
        if flags.is_given(name):
            raise InputError(f"`{name}`: {why}")


COMMAND = Command(USAGE, _evaluate, Options, settings=("imports", *_SETTINGS))
