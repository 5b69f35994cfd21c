"""Trains a student of all modes of a run, by itself or together with bridges behind it.

    python docs/results/bridges/students.py --workdir=RUN --kind=each --epochs=12 --out=FILE.jsonl

The student begins as mode 0, as the base of `--distil_base` does, or is wider and begins anew. The
losses, KL divergences summed with equal weights:

    alone      mean of all modes || student
    each       the same, and mode k || bridge k, whose gradient also reaches the student
    together   the same as alone, and mean of all modes || mean of student and bridges

A JSON object is appended to --out, log-probabilities on test and validation split are written to
--predictions as float16.
"""

import dataclasses
import json
import pathlib
import time

import keras
import numpy as np
from absl import app, flags
from keras import ops

from bridge_tf import data
from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.bridges.distillation import mean_kl
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import deep_ensemble_equivalent, ensemble_log_probs, score
from bridge_tf.evaluation.dee import subsets_of_modes
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.context import Run
from bridge_tf.runs.counted_networks import Networks
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.fit import fit

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Work directory with the modes.", required=True)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets. Default: the run's.")
flags.DEFINE_enum("kind", "alone", ["alone", "each", "together"], "What is trained, see above.")
flags.DEFINE_list("taps", ["group2_act2"], "Layers of the student that bridges read.")
flags.DEFINE_float("width", 0.5, "Of the bridges, as a share of the base's channels.")
flags.DEFINE_float("wide", 0, "Factor on a student's channels; it has fresh weights. 0: mode 0.")
flags.DEFINE_integer("epochs", 12, "Of training.")
flags.DEFINE_float("rate", 0, "Peak learning rate; 0: half of the run's, all of it with --wide.")
flags.DEFINE_float("mixup_alpha", 0, "Of the mixing of training images; 0 for none.")
flags.DEFINE_float("temperature", 1, "By which all logits are divided in training.")
flags.DEFINE_integer("crop_padding", None, "Of random crops. Default: the run's.")
flags.DEFINE_integer("seed", 0, "Of weights and batches.")
flags.DEFINE_string("out", None, "File that the row is appended to.", required=True)
flags.DEFINE_string("predictions", None, "Folder for log-probabilities.", required=True)


class Students(keras.Model):
    """From images to log-probabilities: of the modes, and of student and bridges."""

    def __init__(self, ensemble: BridgeEnsemble, modes: list, kind: str):
        super().__init__()
        outputs = ensemble.members().outputs
        self.members = keras.Model(ensemble.input, outputs[-1 - len(ensemble.bridges) :])
        self.modes = [logits_copy(mode) for mode in modes]
        for mode in self.modes:
            mode.trainable = False
        self.kind, self.built = kind, True

    def call(self, images, training=None):
        modes = [ops.stop_gradient(mode(images, training=False)) for mode in self.modes]
        members = self.members(images, training=training)
        members = members if isinstance(members, list) else [members]
        return {
            name: [ops.log_softmax(ops.cast(x, "float32") / FLAGS.temperature) for x in logits]
            for name, logits in (("modes", modes), ("members", members))
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        modes, (student, *bridges) = y_pred["modes"], y_pred["members"]
        wanted = _mean(modes)
        loss = mean_kl(wanted, student)
        if self.kind == "each":
            loss += sum(mean_kl(m, b) for m, b in zip(modes[1:], bridges, strict=True))
        if self.kind == "together":
            loss += mean_kl(wanted, _mean([student, *bridges]))
        return FLAGS.temperature**2 * loss  # so that gradients keep their size


def _mean(log_probs: list):
    """Log-probabilities of the mean of probabilities, N×classes."""
    return ops.logsumexp(ops.stack(log_probs), axis=0) - float(np.log(len(log_probs)))


def main(_) -> None:
    config = WorkDir(FLAGS.workdir).read_config()
    given = {"data_dir": FLAGS.data_dir, "crop_padding": FLAGS.crop_padding}
    config = dataclasses.replace(
        config, **{name: value for name, value in given.items() if value is not None}
    )
    run = Run(config, FLAGS.workdir)
    modes = [run.load_mode(k) for k in range(config.num_modes)]
    keras.utils.set_random_seed(FLAGS.seed)
    student, rate = modes[0], FLAGS.rate or config.learning_rate / (1 if FLAGS.wide else 2)
    if FLAGS.wide:
        student = Networks(config, run.data.image_shape, run.data.num_classes).wide(FLAGS.wide)
    count = 0 if FLAGS.kind == "alone" else len(modes) - 1
    bridges = [build_bridge(student, FLAGS.taps, FLAGS.width, residual=True) for _ in range(count)]
    ensemble = BridgeEnsemble(student, bridges)
    started = time.monotonic()
    history = _train(run, Students(ensemble, modes, FLAGS.kind), rate)
    row = {
        "kind": FLAGS.kind,
        "taps": FLAGS.taps if count else [],
        "width": FLAGS.width if count else None,
        "epochs": FLAGS.epochs,
        "rate": rate,
        "wide": FLAGS.wide,
        "mixup_alpha": FLAGS.mixup_alpha,
        "temperature": FLAGS.temperature,
        "crop_padding": config.crop_padding,
        "seed": FLAGS.seed,
        "relative_flops": count_flops(ensemble) / count_flops(modes[0]),
        "loss": history.history["loss"][-1],
        "minutes": round((time.monotonic() - started) / 60, 1),
        **_figures(run, ensemble, modes),
    }
    with open(FLAGS.out, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _train(run: Run, model: Students, rate: float):
    config = run.config
    recipe = run.recipe(FLAGS.epochs, FLAGS.seed, learning_rate=rate)
    batches = run.training_batches(FLAGS.epochs, FLAGS.seed, mixup_alpha=FLAGS.mixup_alpha)
    steps = data.steps_per_epoch(run.data.train, config.batch_size)
    with TrainingProgress(FLAGS.kind, config.batch_size, FLAGS.epochs, steps) as shown:
        return fit(
            model,
            batches.map(lambda images, labels: images),
            recipe,
            steps_per_epoch=steps,
            callbacks=[shown],
        )


def _figures(run: Run, ensemble: BridgeEnsemble, modes: list) -> dict:
    """Scores of student and ensembles on the test split, and the validation split's NLL."""
    splits = run.data.test, run.data.validation
    labels = [split.labels for split in splits]

    def log_probs(model) -> list[np.ndarray]:
        predict = log_prob_predictor(model)
        return [
            np.reshape(predict(x.images), (-1, len(x.labels), run.data.num_classes)) for x in splits
        ]

    def measured(test, validation) -> dict:
        test, validation = ensemble_log_probs(test), ensemble_log_probs(validation)
        found = score(test, labels[0], validation, labels[1])
        on_validation = score(validation, labels[1], validation, labels[1])["calibrated_nll"]
        kept = {name: found[name] for name in ("accuracy", "calibrated_nll")}
        return {**kept, "validation_nll": on_validation}

    of_modes = [log_probs(mode) for mode in modes]
    yardstick = []
    for size in range(1, len(modes) + 1):
        parts = [
            measured(*(np.concatenate([of_modes[k][i] for k in subset]) for i in range(2)))
            for subset in subsets_of_modes(len(modes), size)
        ]
        yardstick.append(float(np.mean([part["calibrated_nll"] for part in parts])))
    members = log_probs(ensemble)
    folder = pathlib.Path(FLAGS.predictions)
    folder.mkdir(parents=True, exist_ok=True)
    inputs = f"{FLAGS.mixup_alpha}.{run.config.crop_padding}.{FLAGS.temperature}"
    name = f"{FLAGS.kind}.{'-'.join(FLAGS.taps)}.{FLAGS.width}.{FLAGS.wide}.{FLAGS.epochs}.{inputs}"
    np.savez_compressed(folder / name, *(x.astype("float16") for x in members))
    rows = {
        f"first_{k}": measured(*(x[:k] for x in members)) for k in range(1, len(members[0]) + 1)
    }
    for row in rows.values():
        row["dee"] = deep_ensemble_equivalent(row["calibrated_nll"], yardstick)[0]
    return {"yardstick": yardstick, **rows}


if __name__ == "__main__":
    app.run(main)
