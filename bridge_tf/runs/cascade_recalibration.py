"""Calibrating a cascade on other labelled images; see `bridge_tf.runs.recalibration`."""

import dataclasses
from collections.abc import Callable

import numpy as np

from bridge_tf.data.dataset import Split
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.calibration import fit_temperature, rounded
from bridge_tf.evaluation.cascade import Cascade, fit_cascade
from bridge_tf.evaluation.change import before_and_after, change
from bridge_tf.evaluation.metrics import accuracy, ensemble_log_probs
from bridge_tf.evaluation.recommendation import halves
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.export.kinds import costs_of
from bridge_tf.utils.errors import InputError


@dataclasses.dataclass(frozen=True)
class CascadeStages:
    """A cascade to calibrate, saved or exported.

    Attributes:
        predict: from images N×H×W×C to log-probabilities of base, first and second stage without
            their temperatures, N×classes.
        cascade: temperatures of the stages, costs relative to the base, threshold.
        base_temperature: that of the base alone.
        ensemble: None for an exported file.
    """

    predict: Callable[[np.ndarray], list[np.ndarray]]
    cascade: Cascade
    base_temperature: float
    ensemble: CascadeEnsemble | None = None

    @classmethod
    def of(cls, cascade: CascadeEnsemble) -> "CascadeStages":
        """Those of a Keras model."""

        def predict(images: np.ndarray) -> list[np.ndarray]:
            first = log_prob_predictor(cascade.first)(images)
            reused = [np.moveaxis(first[: cascade.reused], 0, 1)] if cascade.reused else []
            pixels = np.asarray(images, "float32")
            outputs = cascade.second.predict([pixels, *reused], verbose=0)
            second = np.moveaxis(outputs["log_probabilities"], 1, 0)
            return [first[0], ensemble_log_probs(first), ensemble_log_probs(second)]

        temperatures = cascade.first.temperature, cascade.temperature
        inside = Cascade(temperatures, costs_of(cascade), cascade.threshold)
        return cls(predict, inside, cascade.base_temperature, cascade)


@dataclasses.dataclass(frozen=True)
class CascadeFindings:
    """What `recalibrate_cascade` found.

    Attributes:
        report: "first", "second" and "base" as for other ensembles; "cascade", with the old and the
            new threshold, and for each the share that goes on, the average cost, and the mean NLL.
            After: each half of the images has temperatures and threshold of the other.
        old, new: log-probabilities after calibration, N×classes, as inside and as fitted.
        ensemble: with what was fitted; None for an exported file.
    """

    report: dict
    old: np.ndarray
    new: np.ndarray
    ensemble: CascadeEnsemble | None


def recalibrate_cascade(
    model: CascadeStages, images: Split, average_cost: float
) -> CascadeFindings:
    """Fits temperatures and threshold on labelled images.

    `average_cost` is the highest mean FLOPs of these images, relative to the base's.

    Raises:
        InputError: the first stage alone costs more.
    """
    labels, rows, old = images.labels, np.arange(len(images)), model.cascade
    base, *stages = model.predict(images.images)

    def fitted(part: np.ndarray) -> Cascade:
        first, second = (_fit(x[part], labels[part]) for x in stages)
        found = fit_cascade(stages[0][part], (first, second), old.flops, average_cost)
        if found is None:
            raise InputError(
                f"`average_cost={average_cost:g}`: the first stage alone costs {old.flops[0]:.3g}; "
                "take more"
            )
        return found

    new, after = fitted(rows), np.empty(len(rows))
    for half, other in halves(len(rows)):
        _, predicted, _ = fitted(other).predict([x[half] for x in stages])
        after[half] = -predicted[np.arange(len(half)), labels[half]]
    _, as_inside, went_on = old.predict(stages)
    _, as_fitted, goes_on = new.predict(stages)
    report = {
        "first": change(stages[0], labels, old.temperatures[0], new.temperatures[0]),
        "second": change(stages[1], labels, old.temperatures[1], new.temperatures[1]),
        "base": change(base, labels, model.base_temperature, _fit(base, labels)),
        "cascade": {
            "old_threshold": old.threshold,
            "threshold": new.threshold,
            "average_cost": average_cost,
            "accuracy_before": accuracy(as_inside, labels),
            "accuracy_after": accuracy(as_fitted, labels),
            "average_flops_before": old.average_flops(went_on),
            "average_flops_after": new.average_flops(goes_on),
            "share_going_on_before": float(went_on.mean()),
            "share_going_on_after": float(goes_on.mean()),
            **before_and_after(-as_inside[rows, labels], after),
        },
    }
    written, base_temperature = model.ensemble, report["base"]["temperature"]
    if written is not None:
        first = written.first.calibrated(new.temperatures[0], base_temperature)
        settings = new.threshold, new.temperatures[1], written.reused
        written = CascadeEnsemble(first, written.modes, *settings)
    return CascadeFindings(report, as_inside, as_fitted, written)


def _fit(log_probs: np.ndarray, labels: np.ndarray) -> float:
    return rounded(fit_temperature(log_probs, labels))
