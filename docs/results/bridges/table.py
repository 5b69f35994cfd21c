"""Prints tables, in Markdown, of the rows that `candidates.py` has written.

    python docs/results/bridges/table.py --curves=0-1,0-2,0-3 --predictions=FOLDER FILE.jsonl…

With one curve a row a candidate; with several the DEE of the base and one bridge on each curve, the
mean of the differences to `recipe`, the run's own bridge of the same curve, with its standard
error, and the base with the bridges of all these curves.
"""

import json
import pathlib

import numpy as np
from absl import app, flags

from bridge_tf.evaluation import deep_ensemble_equivalent, ensemble_log_probs, score

FLAGS = flags.FLAGS
flags.DEFINE_list("curves", ["0-1"], "Curves.")
flags.DEFINE_integer("seed", 0, "Of weights and batches; the run's bridges have one.")
flags.DEFINE_string("predictions", None, "Folder of log-probabilities, for several curves.")


def main(arguments: list[str]) -> None:
    rows = {}
    for path in arguments[1:]:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["curve"] in FLAGS.curves and row["seed"] in (0, FLAGS.seed):
                key = row["candidate"], row["mixing"], row["seed"]
                rows.setdefault(key, {})[row["curve"]] = row
    rows = {key: found for key, found in rows.items() if found.keys() == {*FLAGS.curves}}
    if len(FLAGS.curves) == 1:
        _of_one_curve([found[FLAGS.curves[0]] for found in rows.values()])
    else:
        _of_curves(rows)


def _of_one_curve(rows: list[dict]) -> None:
    print("| candidate | mixing | FLOPs × | KL | alone: acc. % | cal. NLL", end=" ")
    print(
        "| with the base: acc. % | cal. NLL | DEE | cal. NLL, validation |\n| --- | --- |"
        + " ---: |" * 8
    )
    for row in rows:
        both = row["with_base"]
        print(
            f"| {row['candidate']} | {row['mixing']} | {row['relative_flops']:.4f} "
            f"| {row['kl']:.4f} | {100 * row['accuracy']:.2f} | {row['calibrated_nll']:.4f} "
            f"| {100 * both['accuracy']:.2f} | {both['calibrated_nll']:.4f} | {_dee(both)} "
            f"| {both['validation_nll']:.4f} |"
        )


def _of_curves(rows: dict) -> None:
    curves = FLAGS.curves
    labels, modes = _kept("labels"), [_kept(f"mode{k}") for k in range(4)]
    yardstick = []
    for size in range(1, len(modes) + 1):
        yardstick.append(_scored(modes[:size], labels)["calibrated_nll"])
    published = _dees(rows["recipe", "mixup", 0])
    print("| candidate | mixing | FLOPs × | KL |", *(f"{curve} |" for curve in curves), end=" ")
    print("mean DEE | less the recipe's | all: FLOPs × | acc. % | cal. NLL | DEE |")
    print("| --- | --- |" + " ---: |" * (len(curves) + 8))
    for (name, mixing, seed), found in rows.items():
        dees, each = _dees(found), list(found.values())
        less = dees - published
        error = less.std(ddof=1) / np.sqrt(len(less))
        answers = [_kept(f"{curve}.{mixing}.{name}.{seed}") for curve in curves]
        every = _scored([modes[0], *answers], labels)
        dee, extrapolated = deep_ensemble_equivalent(every["calibrated_nll"], yardstick)
        flops = sum(row["relative_flops"] for row in each)
        print(
            f"| {name} | {mixing} | {flops / len(each):.4f} "
            f"| {np.mean([row['kl'] for row in each]):.4f} |",
            *(f"{_dee(found[curve]['with_base'])} |" for curve in curves),
            f"{dees.mean():.2f} | {less.mean():+.2f} ± {error:.2f} | {1 + flops:.3f} "
            f"| {100 * every['accuracy']:.2f} | {every['calibrated_nll']:.4f} "
            f"| {_dee({'dee': dee, 'dee_extrapolated': extrapolated})} |",
        )


def _kept(name: str) -> list[np.ndarray]:
    with np.load(pathlib.Path(FLAGS.predictions) / f"{name}.npz") as stored:
        return [stored["test"], stored["validation"]]


def _dees(found: dict) -> np.ndarray:
    return np.array([found[curve]["with_base"]["dee"] for curve in FLAGS.curves])


def _dee(figures: dict) -> str:
    return f"{figures['dee']:.2f}" + ("*" if figures["dee_extrapolated"] else "")


def _scored(members, labels) -> dict:
    test, validation = (ensemble_log_probs([x[k] for x in members]) for k in range(2))
    return score(test, labels[0], validation, labels[1])


if __name__ == "__main__":
    app.run(main)
