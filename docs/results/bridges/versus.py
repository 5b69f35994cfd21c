"""Compares one row of several runs with each other row, over runs and images.

    python docs/results/bridges/versus.py --workdirs=runs/seed0,runs/seed1,runs/seed2 --row=bridge_2

Prints the difference of calibrated NLL, below 0 where the row is better: mean over runs, 95 %
interval of the pigeonhole bootstrap over runs and images (evaluation.md), and that of each run.
"""

import numpy as np
from absl import app, flags

from bridge_tf.evaluation.bootstrap import interval
from bridge_tf.runs.pooling import pool_of, read_runs

FLAGS = flags.FLAGS
flags.DEFINE_list("workdirs", None, "Work directories of finished runs.", required=True)
flags.DEFINE_string("row", None, "Name of the row that others are compared with.", required=True)


def main(_) -> None:
    pool = pool_of(read_runs(FLAGS.workdirs))
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


def _values(row: dict) -> np.ndarray:
    return np.array(row["values"]["calibrated_nll"])


if __name__ == "__main__":
    app.run(main)
