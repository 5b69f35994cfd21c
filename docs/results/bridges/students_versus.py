"""Compares students of several runs, trained by students.py, with rows of these runs.

    python docs/results/bridges/students_versus.py --workdirs=runs/seed0,runs/seed1 \
      --predictions=runs/students/0/each.npz,runs/students/1/each.npz --members=1

Prints the difference of calibrated NLL, below 0 where the student is better: mean over runs, 95 %
interval over runs and images as by versus.py, on the same resamples as those of the runs' reports,
and the difference of each run.
"""

import numpy as np
from absl import app, flags

from bridge_tf.evaluation import ensemble_log_probs, score
from bridge_tf.evaluation.bootstrap import Resamples, interval
from bridge_tf.runs.context import Run
from bridge_tf.runs.pooling import pool_of, read_runs

FLAGS = flags.FLAGS
flags.DEFINE_list("workdirs", None, "Work directories of finished runs.", required=True)
flags.DEFINE_list("predictions", None, "A file of students.py for each.", required=True)
flags.DEFINE_integer("members", 1, "1 for the student alone, more for it and bridges.")


def main(_) -> None:
    runs = read_runs(FLAGS.workdirs)
    pool = pool_of(runs)
    values, figures = [], []
    for run, path in zip(runs, FLAGS.predictions, strict=True):
        splits = Run(run.config, run.given).data
        labels = [splits.test.labels, splits.validation.labels]
        with np.load(path) as archive:
            both = [archive[name][: FLAGS.members].astype("float64") for name in archive.files]
        test, validation = map(ensemble_log_probs, both)
        found = score(test, labels[0], validation, labels[1])
        values.append(found["calibrated_nll"])
        figures.append(Resamples(labels).figures(test, validation, found["temperature"]))
    weights = pool.weights.T / len(runs)
    student = np.sum(weights * [of_run["calibrated_nll"] for of_run in figures], axis=0)
    others = pool.figures(pool.weights)
    print("| student less | FLOPs × | cal. NLL | 95 % | each run |")
    print("| --- | ---: | ---: | ---: | --- |")
    for row in pool.rows:
        each = np.array(values) - row["values"]["calibrated_nll"]
        low, high = interval(student - others[row["name"]]["calibrated_nll"])
        print(f"| {row['name']} | {row['relative_flops']:.2f} ", end="")
        print(f"| {each.mean():+.4f} | {low:+.4f} … {high:+.4f} ", end="")
        print(f"| {', '.join(f'{value:+.4f}' for value in each)} |")


if __name__ == "__main__":
    app.run(main)
