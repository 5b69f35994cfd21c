"""The comparison that a run reports: every way of ensembling, at its cost."""

import functools
from collections.abc import Iterator

import numpy as np

from bridge_tf import data
from bridge_tf.bridge import bridge_taps
from bridge_tf.config import Config
from bridge_tf.ensemble import BridgeEnsemble
from bridge_tf.errors import TrainingError
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.cost import count_flops, count_params
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.kept import KeptPredictions
from bridge_tf.evaluation.scores import log_prob_predictor, score
from bridge_tf.evaluation.warnings import find_warnings
from bridge_tf.progress import track


def compare(run) -> dict:
    """Measures a finished run on its test split.

    Args:
        run: a `bridge_tf.run.Run` whose training stages are done.

    Returns:
        The content of report.json.
    """
    predictions = _Predictions(run)
    base = predictions.models[0]
    flops, params = count_flops(base), count_params(base)
    yardstick = []
    ensembles = []
    for method, name, graph, members in _rows(run, predictions):
        figures = predictions.score(members)
        if method in ("single", "deep_ensemble"):
            yardstick.append(figures["calibrated_nll"])
        ensembles.append(
            {
                "name": name,
                "method": method,
                "size": len(members),
                "relative_flops": 1.0 if graph is base else count_flops(graph) / flops,
                "relative_params": count_params(graph) / params,
                **figures,
            }
        )
    for row in ensembles:
        row["dee"], row["dee_extrapolated"] = deep_ensemble_equivalent(
            row["calibrated_nll"], yardstick
        )
    curves = [
        {"curve": list(pair), "points": predictions.points[pair]} for pair in predictions.pairs
    ]
    bridges = [
        _bridge_row(run, predictions, pair, r, flops, params)
        for pair, r in predictions.places(predictions.pairs)
    ]
    warnings = find_warnings(
        run.data,
        predictions.validation_errors(),
        curves,
        bridges,
        accuracies=predictions.accuracies(),
        retries=run.files.retries(),
        changed=run.files.changed(run.inputs),
    )
    faults = run.data.faults
    return {
        "schema": 1,
        "warnings": warnings,
        "dataset": {
            "name": run.data.name,
            "num_train": len(run.data.train),
            "num_validation": len(run.data.validation),
            "num_test": len(run.data.test),
            "num_classes": run.data.num_classes,
        },
        "data": {
            "skipped": list(faults.skipped),
            "duplicates": faults.duplicates,
            "num_test_available": len(run.data.test) + faults.test_left_out,
        },
        "base": {"params": params, "flops": flops},
        "ensembles": ensembles,
        "curves": curves,
        "bridges": bridges,
    }


class _Predictions:
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
        self.points: dict[tuple, list[dict]] = {}
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

    def _predict(self, name: str, model, splits=None) -> list[np.ndarray]:
        """Predictions of a model, which a function gives, on test and validation split."""

        def predict():
            predictor = log_prob_predictor(model())
            for split in splits or self.splits:
                yield _checked(name, predictor(split.images), split)

        return self.kept.get(name, predict)

    def _walk(self, run, pair, curve) -> None:
        """Predicts the members that bridges follow; measures points along the curve."""
        config: Config = run.config

        def member(r: float, splits: list) -> list[np.ndarray]:
            name = f"member-{pair[0]}-{pair[1]}-{r!r}-of-{len(splits)}"
            return self._predict(name, lambda: run.member(curve, r), splits)

        for r in self.positions:
            self.log_probs["member", pair, r] = member(r, self.splits)
        points, test = [], self.splits[0]
        for r in map(float, np.linspace(0, 1, config.curve_points)):
            if r in (0, 1):
                log_probs = self.log_probs["mode", pair[int(r)]][0]
            elif r in self.positions:
                log_probs = self.log_probs["member", pair, r][0]
            else:
                (log_probs,) = member(r, [test])
            points.append(
                {
                    "r": r,
                    "accuracy": metrics.accuracy(log_probs, test.labels),
                    "nll": metrics.nll(log_probs, test.labels),
                }
            )
        self.points[pair] = points

    def score(self, members: list[tuple]) -> dict:
        """A row's figures for the mean of these members."""
        test, validation = (
            metrics.ensemble_log_probs([self.log_probs[name][k] for name in members])
            for k in range(2)
        )
        return score(test, self.splits[0].labels, validation, self.splits[1].labels)

    def accuracies(self) -> list[float]:
        """Accuracy of each mode on the test split."""
        labels = self.splits[0].labels
        modes = (self.log_probs["mode", k][0] for k in range(len(self.models)))
        return [metrics.accuracy(log_probs, labels) for log_probs in modes]

    def validation_errors(self) -> int:
        """How many validation images the base is wrong on."""
        labels = self.splits[1].labels
        return int((self.log_probs["mode", 0][1].argmax(axis=-1) != labels).sum())


def _checked(name: str, log_probs: np.ndarray, split: data.Split) -> np.ndarray:
    """The predictions (…×N×classes), of which there must be one an image, and all numbers."""
    if log_probs.shape[-2] != len(split):
        raise RuntimeError(f"{log_probs.shape[-2]} predictions of {len(split)} images")
    if np.isnan(log_probs).any():
        raise TrainingError(
            f"{name} answers with what is not a number; train with a lower --learning_rate in "
            "another --workdir"
        )
    return log_probs


def _rows(run, predictions: _Predictions) -> Iterator[tuple]:
    """(method, name, the graph that is executed, its members) of each row of the table.

    One by one, since a graph holds copies of all the networks in it.
    """
    modes, pairs = predictions.models, predictions.pairs
    yield "single", "single", modes[0], [("mode", 0)]
    for size in range(2, len(modes) + 1):
        members = [("mode", k) for k in range(size)]
        graph = BridgeEnsemble(modes[0], [], modes[1:size])
        yield "deep_ensemble", f"deep_ensemble_{size}", graph, members
    # Bridges of Type II need both ends of their curves, which are then members as well.
    type_2 = run.config.bridge_type == 2
    executed = [max(j for _, j in pairs[:k]) + 1 if type_2 else 1 for k in range(1, len(pairs) + 1)]
    for k, num_modes in enumerate(executed, start=1):
        members = [("mode", i) for i in range(num_modes)]
        members += [("member", *place) for place in predictions.places(pairs[:k])]
        # A curve member costs what a mode costs: any network of its architecture stands for it.
        graph = BridgeEnsemble(modes[0], [], [modes[0]] * (len(members) - 1))
        yield "curve", f"curve_{k}", graph, members
    for k, num_modes in enumerate(executed, start=1):
        members = [("mode", i) for i in range(num_modes)]
        members += [("bridge", *place) for place in predictions.places(pairs[:k])]
        yield "bridge", f"bridge_{k}", run.build_ensemble(k), members


def _bridge_row(run, predictions, pair, r, flops, params) -> dict:
    index = predictions.pairs.index(pair)
    bridge = predictions.ensemble.bridges[index]
    member, answer = (predictions.log_probs[kind, pair, r][0] for kind in ("member", "bridge"))
    base = predictions.log_probs["mode", 0][0]
    taps, (_, width) = bridge_taps(bridge)[1], run.bridge_settings()
    return {
        "curve": list(pair),
        "r": r,
        "type": run.config.bridge_type,
        "taps": taps,
        "width": width,
        "relative_flops": count_flops(bridge) / flops,
        "relative_params": count_params(bridge) / params,
        "kl": metrics.kl_divergence(member, answer),
        "kl_base": metrics.kl_divergence(member, base),
        "agreement": metrics.agreement(member, answer),
    }
