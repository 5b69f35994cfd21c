"""Scores `wide.keras` of `prepare.py` by the yardstick of a run on the same data.

    python docs/results/finetuned/wide.py --parts=runs/finetuned/fashion_mnist/parts \
      --workdir=runs/finetuned/fashion_mnist/run
"""

import json
import pathlib

import keras
import numpy as np
from absl import app, flags

from bridge_tf.evaluation import deep_ensemble_equivalent, score
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.report import read_report
from bridge_tf.runs.work_dir import WorkDir

FLAGS = flags.FLAGS
flags.DEFINE_string("parts", None, "Folder that prepare.py wrote.", required=True)
flags.DEFINE_string("workdir", None, "Work directory of the run.", required=True)


def main(_) -> None:
    parts = pathlib.Path(FLAGS.parts)
    report = read_report(WorkDir(FLAGS.workdir).report)
    wide = keras.models.load_model(parts / "wide.keras")
    predict = log_prob_predictor(wide)
    with np.load(parts / "data.npz") as data:
        splits = [(predict(data[f"x_{name}"]), data[f"y_{name}"]) for name in ("test", "val")]
    found = score(*splits[0], *splits[1])
    yardstick = [size["calibrated_nll"] for size in report["yardstick"]]
    row = {
        "relative_flops": count_flops(wide) / report["base"]["flops"],
        "accuracy": found["accuracy"],
        "calibrated_nll": found["calibrated_nll"],
        "dee": deep_ensemble_equivalent(found["calibrated_nll"], yardstick)[0],
    }
    print(json.dumps(row))


if __name__ == "__main__":
    app.run(main)
