"""Calibrating a cascade on other labelled images; see `bridge_tf.runs.recalibration`."""

import numpy as np

from bridge_tf.data.dataset import Split
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.calibration import fit_temperature, rounded
from bridge_tf.evaluation.cascade import Cascade, fit_cascade
from bridge_tf.evaluation.change import before_and_after, change
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.evaluation.recommendation import halves
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.utils.errors import InputError


def recalibrate_cascade(
    cascade: CascadeEnsemble, images: Split, average_cost: float
) -> tuple[dict, CascadeEnsemble]:
    """Fits temperatures and threshold on labelled images.

    Args:
        average_cost: the highest mean FLOPs of these images, relative to the base's.

    Returns:
        A report: "first", "second" and "base" as for other ensembles; "cascade", with the old and
        the new threshold, and for each the share that goes on, the average cost, and the mean NLL.
        After: each half of the images has temperatures and threshold of the other. And the cascade
        with what was fitted.

    Raises:
        InputError: the first stage alone costs more.
    """
    labels, rows = images.labels, np.arange(len(images))
    base, *stages = _predicted(cascade, np.asarray(images.images, "float32"))
    flops = _costs(cascade)
    old = Cascade((cascade.first.temperature, cascade.temperature), flops, cascade.threshold)

    def fitted(part: np.ndarray) -> Cascade:
        first, second = (_fit(x[part], labels[part]) for x in stages)
        found = fit_cascade(stages[0][part], (first, second), flops, average_cost)
        if found is None:
            raise InputError(
                f"`average_cost={average_cost:g}`: the first stage alone costs {flops[0]:.3g}; "
                "take more"
            )
        return found

    new, after = fitted(rows), np.empty(len(rows))
    for half, other in halves(len(rows)):
        _, calibrated, _ = fitted(other).predict([x[half] for x in stages])
        after[half] = -calibrated[np.arange(len(half)), labels[half]]
    _, calibrated, goes_on = old.predict(stages)
    report = {
        "first": change(stages[0], labels, old.temperatures[0], new.temperatures[0]),
        "second": change(stages[1], labels, old.temperatures[1], new.temperatures[1]),
        "base": change(base, labels, cascade.base_temperature, _fit(base, labels)),
        "cascade": {
            "old_threshold": old.threshold,
            "threshold": new.threshold,
            "average_cost": average_cost,
            "average_flops_before": old.average_flops(goes_on),
            "average_flops_after": new.average_flops(new.goes_on(stages[0])),
            "share_going_on_before": float(goes_on.mean()),
            "share_going_on_after": float(new.goes_on(stages[0]).mean()),
            **before_and_after(-calibrated[rows, labels], after),
        },
    }
    first = cascade.first.calibrated(new.temperatures[0], report["base"]["temperature"])
    settings = new.threshold, new.temperatures[1], cascade.reused
    return report, CascadeEnsemble(first, cascade.modes, *settings)


def _fit(log_probs: np.ndarray, labels: np.ndarray) -> float:
    return rounded(fit_temperature(log_probs, labels))


def _predicted(cascade: CascadeEnsemble, images: np.ndarray) -> list[np.ndarray]:
    """Log-probabilities of base, first and second stage without temperatures, N×classes."""
    first = log_prob_predictor(cascade.first)(images)
    reused = [np.moveaxis(first[: cascade.reused], 0, 1)] if cascade.reused else []
    second = cascade.second.predict([images, *reused], verbose=0)["log_probabilities"]
    return [first[0], ensemble_log_probs(first), ensemble_log_probs(np.moveaxis(second, 1, 0))]


def _costs(cascade: CascadeEnsemble) -> tuple[float, float]:
    """FLOPs of an image that stops, and of one that goes on, relative to the base's."""
    base, first = count_flops(cascade.base), cascade.first
    # Of one network there is nothing to average.
    several = first.bridges or first.other_modes
    once = count_flops(first.calibrated(1, 1)) / base if several else 1.0
    return once, once + sum(map(count_flops, cascade.modes)) / base
