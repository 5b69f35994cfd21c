"""Log-probabilities of all that a run trained, on the images that its report measures."""

import functools

import numpy as np

from bridge_tf import data
from bridge_tf.curve import Curve
from bridge_tf.ensemble import BridgeEnsemble
from bridge_tf.errors import TrainingError
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.kept import KeptPredictions
from bridge_tf.evaluation.scores import log_prob_predictor, network_predictor
from bridge_tf.progress import track


class Predictions:
    """Log-probabilities on test and validation split of all that a run trained.

    Members are named ("mode", k), ("member", pair, r) for a curve's members at the positions of
    the run's bridges, and ("bridge", pair, r).
    """

    def __init__(self, run):
        self.splits: list[data.Split] = [run.data.test, run.data.validation]
        self.pairs = run.config.curves()
        self.positions = run.positions
        made_from = [run.files.manifest.digests(run.measured_files), run.inputs]
        self.kept = KeptPredictions(run.files.backup(run.files.report), made_from)
        self.log_probs: dict[tuple, list[np.ndarray]] = {}
        # All files are read first, so that a damaged one is found at once.
        self.models = [run.load_mode(k) for k in range(run.config.num_modes)]
        self.ensemble = run.load(run.files.ensemble, BridgeEnsemble)
        curves = {pair: run.load_curve(pair) for pair in self.pairs}
        jobs = [functools.partial(self._predict_mode, k) for k in range(len(self.models))]
        jobs += [functools.partial(self._walk, run, *item) for item in curves.items()]
        jobs += [self._predict_bridges]
        # Of each pair what was measured along its curve and along the straight line.
        self.walks: dict[tuple, tuple[list[dict], list[dict]]] = {}
        for job in track("evaluate: predictions of modes, curves and bridges", jobs):
            job()

    def _predict_mode(self, k: int) -> None:
        self.log_probs["mode", k] = self._predict(f"mode-{k}", lambda: self.models[k])

    def _predict_bridges(self) -> None:
        predicted = self._predict("ensemble", lambda: self.ensemble)
        for k, (pair, r) in enumerate(reversed(self.places(self.pairs))):
            self.log_probs["bridge", pair, r] = [members[-1 - k] for members in predicted]

    def places(self, pairs) -> list[tuple]:
        """(pair, r) of each bridge member of these curves, in the ensemble's order."""
        return [(pair, r) for pair in pairs for r in self.positions]

    def _predict(self, name: str, model, splits=None, predictor=None, trained=True):
        """Predictions of a model, which a function gives, on test and validation split; all must
        be numbers if it was trained.
        """

        def predict():
            of_images = (
                functools.partial(predictor, model()) if predictor else log_prob_predictor(model())
            )
            for split in splits or self.splits:
                yield _checked(name, of_images(split.images), split, trained)

        return self.kept.get(name, predict)

    def _walk(self, run, pair, curve) -> None:
        """Predicts the members that bridges follow; measures points along curve and line."""
        predictor = network_predictor()
        # Of the curve's own ends, since those of aligned curves aren't the modes'.
        line = Curve.between(curve.model_at(0), curve.model_at(1), degree=1)

        def predict(path, kind: str, r: float, splits: list) -> list[np.ndarray]:
            name = f"{kind}-{pair[0]}-{pair[1]}-{r!r}-of-{len(splits)}"
            member = functools.partial(run.member, path, r)
            return self._predict(name, member, splits, predictor, trained=path is curve)

        for r in self.positions:
            self.log_probs["member", pair, r] = predict(curve, "member", r, self.splits)
        points, on_line = [], []
        for r in map(float, np.linspace(0, 1, run.config.curve_points)):
            if r in (0, 1):
                found = [self.log_probs["mode", pair[int(r)]][0]] * 2
            else:
                (straight,) = predict(line, "line", r, self.splits[:1])
                known = self.log_probs.get(("member", pair, r))
                member = known or predict(curve, "member", r, self.splits[:1])
                found = [member[0], straight]
            for place, log_probs in zip((points, on_line), found, strict=True):
                place.append({"r": r, **self._point(log_probs)})
        self.walks[pair] = points, on_line

    def _point(self, log_probs) -> dict:
        """Accuracy and NLL; nothing where a network between modes answers with no number."""
        if np.isnan(log_probs).any():
            return {"accuracy": None, "nll": None}
        labels = self.splits[0].labels
        return {
            "accuracy": metrics.accuracy(log_probs, labels),
            "nll": metrics.nll(log_probs, labels),
        }

    def of_ensemble(self, members: list[tuple]) -> list[np.ndarray]:
        """Log-probabilities of the mean of these members, on test and validation split."""
        return [
            metrics.ensemble_log_probs([self.log_probs[name][k] for name in members])
            for k in range(2)
        ]

    def accuracies(self) -> list[float]:
        """Accuracy of each mode on the test split."""
        labels = self.splits[0].labels
        modes = (self.log_probs["mode", k][0] for k in range(len(self.models)))
        return [metrics.accuracy(log_probs, labels) for log_probs in modes]

    def validation_errors(self) -> int:
        """How many validation images the base is wrong on."""
        labels = self.splits[1].labels
        return int((self.log_probs["mode", 0][1].argmax(axis=-1) != labels).sum())


def _checked(name: str, log_probs: np.ndarray, split: data.Split, trained: bool) -> np.ndarray:
    """The predictions (…×N×classes), of which there must be one an image; those of what was
    trained must be numbers.
    """
    if log_probs.shape[-2] != len(split):
        raise RuntimeError(f"{log_probs.shape[-2]} predictions of {len(split)} images")
    if trained and np.isnan(log_probs).any():
        raise TrainingError(
            f"{name} answers with what is not a number; train with a lower --learning_rate in "
            "another --workdir"
        )
    return log_probs
