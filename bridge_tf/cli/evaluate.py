"""bin/evaluate: the report of a finished run, anew."""

from bridge_tf.cli import app

USAGE = """
Measures a finished run anew, writes its report and prints the comparison.

    bin/evaluate --workdir=DIR
"""


def main() -> None:
    app.define_workdir_flags()
    app.define_wait_flag()
    app.run(_evaluate, USAGE)


def _evaluate(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    app.existing_run().reevaluate()
