"""bin/evaluate: the report of a finished run, anew."""

import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.utils.errors import InputError

USAGE = """
Measures a finished run anew, writes its report and prints the comparison.

    bin/evaluate --workdir=DIR [--ood_dataset=DATA] [--corruptions=noise,jpeg,…] [--loss_plane]
"""
_SETTINGS = ("early_exit_budget", "ood_dataset", "corruptions", "corruption_images")


def main() -> None:
    module = sys.argv[0]
    app.define_workdir_flags()
    flags.DEFINE_bool(
        "loss_plane",
        False,
        "Also measure the loss over the plane through the first curve's ends and control point.",
        module_name=module,
    )
    flags.DEFINE_integer(
        "loss_plane_points", 21, "Points of the plane's grid, a side.", 3, module_name=module
    )
    flags.DEFINE_integer(
        "loss_plane_images",
        1000,
        "Test images to measure the plane on, at most.",
        1,
        module_name=module,
    )
    app.define_config_flags(_SETTINGS)
    app.define_wait_flag()
    app.run(_evaluate, USAGE)


def _evaluate(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    for name in ("loss_plane_points", "loss_plane_images"):
        if flags.FLAGS[name].present and not flags.FLAGS.loss_plane:
            raise InputError(f"--{name}: tells how --loss_plane is measured; give that too")
    run = app.existing_run(**app.given_settings(_SETTINGS))
    if flags.FLAGS["corruption_images"].present and not run.config.corruptions:
        raise InputError("--corruption_images: tells how --corruptions is measured; give that too")
    plane = None
    if flags.FLAGS.loss_plane:
        from bridge_tf.evaluation.plane import check_degree

        check_degree(run.config.curve_degree)
        plane = flags.FLAGS.loss_plane_points, flags.FLAGS.loss_plane_images
    run.reevaluate(plane)
