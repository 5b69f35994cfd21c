"""bin/evaluate: the report of a finished run, anew."""

from bridge_tf.cli import app

USAGE = """
Measures a finished run anew, writes its report and prints the comparison.

    bin/evaluate --workdir=DIR
"""


def main() -> None:
    app.define_workdir_flags()
    app.run(_evaluate, USAGE)


def _evaluate(arguments: list[str]) -> None:
    app.no_arguments(arguments)
    run = app.existing_run()
    run.reevaluate()
    run.evaluate()
