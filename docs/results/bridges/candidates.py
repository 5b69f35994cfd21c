"""Trains candidates for better bridges side by side on the curves of a finished run.

    python docs/results/bridges/candidates.py --workdir=runs/cifar10_jpeg_small \
      --curves=0-1,0-2 --mixing=none --candidates=published,residual \
      --out=FILE.jsonl --predictions=FOLDER

All candidates of a pass see the same batches. Base and curve member predict once per batch. Each
candidate has its own loss, so SGD trains each as if it were alone. For each curve and candidate,
one JSON object is appended to --out. Log-probabilities are written to --predictions; `table.py`
makes the tables from them.
"""

import dataclasses
import json
import pathlib
import time

import keras
import mixing
import numpy as np
from absl import app, flags
from bodies import CANDIDATES
from keras import ops

from bridge_tf import data
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import (
    deep_ensemble_equivalent,
    ensemble_log_probs,
    fit_temperature,
    metrics,
    score,
)
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.networks.flops import count_flops, count_params
from bridge_tf.runs.context import Run
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.fit import fit
from bridge_tf.utils.graph import LOGITS_INPUT, extractor


class SideBySide(keras.Model):
    """From images to the logits of base, members ("member0.5"…) and all bridges."""

    def __init__(self, base, members: dict, chosen: dict, bridges: dict, temperatures: dict):
        super().__init__()
        taps = {x.name for bridge in bridges.values() for x in bridge.inputs} - {LOGITS_INPUT}
        self.taps, base = sorted(taps), logits_copy(base)
        self.extract = extractor(base, self.taps, logits=True)
        self.members = {f"member{r}": logits_copy(member) for r, member in members.items()}
        for model in (base, self.extract, *self.members.values()):
            model.trainable = False
        self.chosen, self.bridges, self.temperatures = chosen, bridges, temperatures
        self.built = True

    def call(self, images, training=None):
        *features, base = [ops.stop_gradient(x) for x in self.extract(images, training=False)]
        tapped = dict(zip(self.taps, features, strict=True)) | {LOGITS_INPUT: base}
        outputs = {"base": base}
        for name, member in self.members.items():
            outputs[name] = ops.stop_gradient(member(images, training=False))
        for name, bridge in self.bridges.items():
            given = [tapped[x.name] for x in bridge.inputs]
            outputs[name] = bridge(given if len(given) > 1 else given[0], training=training)
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = []
        for name, item in self.chosen.items():
            member, temperature = y_pred[f"member{item.r}"], self.temperatures[item.r]
            losses.append(item.loss(y_pred[name], member, y_pred["base"], y, temperature))
        return sum(losses)


FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Work directory with modes and curves.", required=True)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets. Default: the run's.")
flags.DEFINE_list("curves", ["0-1"], "Curves.")
flags.DEFINE_list(
    "candidates",
    list(CANDIDATES),
    "Which to train; an empty list measures the run's own members and bridges.",
)
flags.DEFINE_enum("mixing", "mixup", list(mixing.SCHEMES), "How training images are mixed.")
flags.DEFINE_integer("epochs", 0, "Of training; 0 takes the run's --bridge_epochs.")
flags.DEFINE_integer("seed", 0, "Of weights and batches.")
flags.DEFINE_string("out", None, "File that rows are appended to.", required=True)
flags.DEFINE_string("predictions", None, "Folder for log-probabilities.", required=True)

_MODES = 4  # of the deep ensembles that are the yardstick
PLACES = ("test", "validation")


def main(_) -> None:
    config = WorkDir(FLAGS.workdir).read_config()
    if FLAGS.data_dir:
        config = dataclasses.replace(config, data_dir=FLAGS.data_dir)
    study = Study(Run(config, FLAGS.workdir), pathlib.Path(FLAGS.predictions))
    for pair in FLAGS.curves:
        for row in study.trained(pair) if FLAGS.candidates else study.there(pair):
            with open(FLAGS.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


class Study:
    """A run's modes, and rows on what goes with the first of them, the base."""

    def __init__(self, run: Run, folder: pathlib.Path):
        self.run, self.folder = run, folder
        self.splits = run.data.test, run.data.validation
        self.labels = [split.labels for split in self.splits]
        modes = [run.load_mode(k) for k in range(_MODES)]
        self.base, self.modes = modes[0], [self._log_probs(mode) for mode in modes]
        folder.mkdir(parents=True, exist_ok=True)
        for k, answer in enumerate(self.modes):
            self._keep(f"mode{k}", answer)
        self._keep("labels", self.labels)
        sizes = range(1, _MODES + 1)
        self.yardstick = [self._figures(self.modes[:k])["calibrated_nll"] for k in sizes]

    def there(self, pair: str):
        """Members executed in full, and the run's own bridge if there is one."""
        curve = self.curve(pair)
        answers = {r: self._log_probs(self.run.member(curve, r)) for r in (0.25, 0.5, 0.75)}
        for r, answer in answers.items():
            yield self.row(pair, f"member{r}", "", self.base, answer, answer)
        path = self.run.files.path / "bridges" / f"{pair}.keras"
        if path.exists():
            bridge = keras.models.load_model(path)
            predict = log_prob_predictor(BridgeEnsemble(self.base, [bridge]))
            answer = [predict(split.images)[1] for split in self.splits]
            yield self.row(pair, "recipe", "mixup", bridge, answer, answers[0.5])

    def trained(self, pair: str):
        """The candidates, trained side by side."""
        run, seed = self.run, 1000 * FLAGS.seed + int(pair.replace("-", ""))
        chosen = {name: CANDIDATES[name] for name in FLAGS.candidates}
        curve = self.curve(pair)
        members = {r: run.member(curve, r) for r in sorted({item.r for item in chosen.values()})}
        wanted = {r: self._log_probs(member) for r, member in members.items()}
        temperatures = {r: fit_temperature(x[1], self.labels[1]) for r, x in wanted.items()}
        bridges = {}
        for name, item in chosen.items():
            keras.utils.set_random_seed(seed)
            bridges[name] = item.build(self.base, members[item.r])
        model = SideBySide(self.base, members, chosen, bridges, temperatures)
        epochs, size = FLAGS.epochs or run.config.bridge_epochs, run.config.batch_size
        batches = run.training_batches(epochs, seed).enumerate()
        batches = batches.map(mixing.mixer(FLAGS.mixing, seed, run.data.num_classes)).prefetch(2)
        steps = data.steps_per_epoch(run.data.train, size)
        recipe, started = run.bridge_recipe(epochs, seed), time.monotonic()
        with TrainingProgress(f"{pair} {FLAGS.mixing}", size, epochs, steps) as shown:
            fit(model, batches, recipe, steps_per_epoch=steps, callbacks=[shown])
        took = {
            "epochs": epochs,
            "seconds_of_pass": round(time.monotonic() - started),
            "candidates_of_pass": len(chosen),
        }
        outputs = [model.predict(x.images, batch_size=500, verbose=0) for x in self.splits]
        for name, item in chosen.items():
            answer = [np.asarray(ops.log_softmax(x[name].astype("float64"))) for x in outputs]
            row = self.row(pair, name, FLAGS.mixing, bridges[name], answer, wanted[item.r])
            yield row | took

    def row(self, pair: str, name: str, scheme: str, model, answer, wanted) -> dict:
        """What is known of a member that `model` computes, and of the base with it.

        Args:
            answer, wanted: its log-probabilities and those of the curve's member, on test and
                validation split.
        """
        self._keep(f"{pair}.{scheme}.{name}.{FLAGS.seed}", answer)
        own, together = self._figures([answer]), self._figures([self.modes[0], answer])
        dee = deep_ensemble_equivalent(together["calibrated_nll"], self.yardstick)
        return {
            "curve": pair,
            "candidate": name,
            "mixing": scheme,
            "seed": FLAGS.seed,
            "relative_flops": count_flops(model) / count_flops(self.base),
            "relative_params": count_params(model) / count_params(self.base),
            "kl": metrics.kl_divergence(wanted[0], answer[0]),
            "kl_base": metrics.kl_divergence(wanted[0], self.modes[0][0]),
            "agreement": metrics.agreement(wanted[0], answer[0]),
            "accuracy": own["accuracy"],
            "calibrated_nll": own["calibrated_nll"],
            "with_base": {**together, "dee": dee[0], "dee_extrapolated": dee[1]},
        }

    def _keep(self, name: str, values: list) -> None:
        np.savez(self.folder / f"{name}.npz", **dict(zip(PLACES, values, strict=True)))

    def curve(self, pair: str):
        return self.run.load_curve(tuple(map(int, pair.split("-"))))

    def _log_probs(self, model) -> list[np.ndarray]:
        predict = log_prob_predictor(model)
        return [predict(split.images) for split in self.splits]

    def _figures(self, members) -> dict:
        """Scores of an ensemble on the test split; the validation split's calibrated NLL too."""
        test, validation = (ensemble_log_probs([x[k] for x in members]) for k in range(2))
        labels = self.labels
        on_validation = score(validation, labels[1], validation, labels[1])["calibrated_nll"]
        return {**score(test, labels[0], validation, labels[1]), "validation_nll": on_validation}


if __name__ == "__main__":
    app.run(main)
