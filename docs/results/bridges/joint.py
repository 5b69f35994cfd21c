"""Trains the bridges of several curves jointly, their average with the base being a further target.

    python docs/results/bridges/joint.py --workdir=runs/cifar10_jpeg_small --curves=0-1,0-2,0-3 \
      --mixing=mixup --out=FILE.jsonl --predictions=FOLDER

To the losses of `residual` in `candidates.py` it adds the KL divergence from the average of base
and curve members to that of base and bridges. Rows are those of `candidates.py`.
"""

import dataclasses
import json
import pathlib

import candidates
import keras
import mixing
import numpy as np
from absl import app
from bodies import CANDIDATES
from keras import ops

from bridge_tf import data
from bridge_tf.bridges.distillation import mean_kl
from bridge_tf.runs.context import Run
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.fit import fit

FLAGS = candidates.FLAGS
ITEM = CANDIDATES["residual"]


class Joint(candidates.SideBySide):
    """From images to the logits of base, members and bridges, both by curve."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        base = ops.log_softmax(y_pred["base"])
        wanted = {name: ops.log_softmax(y_pred[f"member{name}"]) for name in self.bridges}
        answers = {name: ops.log_softmax(y_pred[name]) for name in self.bridges}
        own = sum(mean_kl(wanted[name], answers[name]) for name in self.bridges)
        return own + mean_kl(_mean([base, *wanted.values()]), _mean([base, *answers.values()]))


def _mean(log_probs: list):
    """Log-probabilities of an average, N×classes."""
    return ops.logsumexp(ops.stack(log_probs), axis=0) - float(np.log(len(log_probs)))


def main(_) -> None:
    config = WorkDir(FLAGS.workdir).read_config()
    if FLAGS.data_dir:
        config = dataclasses.replace(config, data_dir=FLAGS.data_dir)
    run = Run(config, FLAGS.workdir)
    study = candidates.Study(run, pathlib.Path(FLAGS.predictions))
    curves = {pair: study.curve(pair) for pair in FLAGS.curves}
    members = {pair: run.member(curve, ITEM.r) for pair, curve in curves.items()}
    seed, bridges = 1000 * FLAGS.seed + 123, {}
    for pair, member in members.items():
        keras.utils.set_random_seed(seed + int(pair.replace("-", "")))
        bridges[pair] = ITEM.build(study.base, member)
    model = Joint(study.base, members, {}, bridges, {})
    epochs, size = FLAGS.epochs or config.bridge_epochs, config.batch_size
    batches = run.training_batches(epochs, seed).enumerate()
    batches = batches.map(mixing.mixer(FLAGS.mixing, seed, run.data.num_classes)).prefetch(2)
    steps = data.steps_per_epoch(run.data.train, size)
    with TrainingProgress(f"joint {FLAGS.mixing}", size, epochs, steps) as shown:
        recipe = run.bridge_recipe(epochs, seed)
        fit(model, batches, recipe, steps_per_epoch=steps, callbacks=[shown])
    outputs = [model.predict(x.images, batch_size=500, verbose=0) for x in study.splits]
    for pair, bridge in bridges.items():
        answer, wanted = (
            [np.asarray(ops.log_softmax(x[name].astype("float64"))) for x in outputs]
            for name in (pair, f"member{pair}")
        )
        row = study.row(pair, "residual_joint", FLAGS.mixing, bridge, answer, wanted)
        with open(FLAGS.out, "a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "epochs": epochs}) + "\n")


if __name__ == "__main__":
    app.run(main)
