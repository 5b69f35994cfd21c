"""Compares one row of several runs with each other row, over runs and images.

    python docs/results/bridges/versus.py --workdirs=runs/seed0,runs/seed1,runs/seed2 --row=bridge_2
    python docs/results/bridges/versus.py --workdirs=… --row=trained_student \
      --predictions=runs/students/0/FILE.npz,runs/students/1/FILE.npz,runs/students/2/FILE.npz

Prints the difference of calibrated NLL, below 0 where the row is better: mean over runs, 95 %
interval of the pigeonhole bootstrap over runs and images (evaluation.md), and that of each run.
With --predictions, files of students.py, each run has one row more, `trained_student`: the student
that students.py has trained, alone.
"""

import dataclasses

import numpy as np
from absl import app, flags

from bridge_tf.evaluation import score
from bridge_tf.evaluation.bootstrap import Resamples, interval
from bridge_tf.runs.context import Run
from bridge_tf.runs.pooling import EvaluatedRun, pool_of, read_runs

FLAGS = flags.FLAGS
flags.DEFINE_list("workdirs", None, "Work directories of finished runs.", required=True)
flags.DEFINE_string("row", None, "Name of the row that others are compared with.", required=True)
flags.DEFINE_list("predictions", None, "For each run, a file of students.py.")

STUDENT = "trained_student"


def main(_) -> None:
    runs = read_runs(FLAGS.workdirs)
    if FLAGS.predictions:
        runs = [_with_student(run, path) for run, path in zip(runs, FLAGS.predictions, strict=True)]
    pool = pool_of(runs)
    rows = {row["name"]: row for row in pool.rows}
    figures = pool.figures(pool.weights)
    print(f"| {FLAGS.row} less | FLOPs × | cal. NLL | 95 % | each run |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name in [name for name in rows if name != FLAGS.row]:
        values = _values(rows[FLAGS.row]) - _values(rows[name])
        low, high = interval(figures[FLAGS.row]["calibrated_nll"] - figures[name]["calibrated_nll"])
        each = ", ".join(f"{value:+.4f}" for value in values)
        print(f"| {name} | {rows[name]['relative_flops']:.2f} ", end="")
        print(f"| {values.mean():+.4f} | {low:+.4f} … {high:+.4f} | {each} |")


def _with_student(run: EvaluatedRun, path: str) -> EvaluatedRun:
    """The run with a row of the student whose log-probabilities are in a file."""
    data = Run(run.config, run.given).data
    labels = [data.test.labels, data.validation.labels]
    with np.load(path) as archive:
        test, validation = (archive[name][0].astype("float64") for name in archive.files)
    found = score(test, labels[0], validation, labels[1])
    costs = dict.fromkeys(("relative_flops", "relative_params"), 1.0)
    row = {"name": STUDENT, "method": "student", "size": 1, **costs, **found}
    figures = Resamples(labels).figures(test, validation, found["temperature"])
    resampled = dataclasses.replace(
        run.resampled, figures={**run.resampled.figures, STUDENT: figures}
    )
    report = {**run.report, "ensembles": [*run.report["ensembles"], row]}
    return dataclasses.replace(run, report=report, resampled=resampled)


def _values(row: dict) -> np.ndarray:
    return np.array(row["values"]["calibrated_nll"])


if __name__ == "__main__":
    app.run(main)
