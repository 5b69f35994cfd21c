"""All metrics of one predictor."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bridge_tf.data.labels import class_numbers
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature, rounded
from bridge_tf.utils.errors import TrainingError

if TYPE_CHECKING:
    import keras

    from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble

# Validation images, below which the prior of the temperature counts.
_FEW = 2000


def score(
    test_log_probs: np.ndarray,
    test_labels: np.ndarray,
    validation_log_probs: np.ndarray,
    validation_labels: np.ndarray,
) -> dict[str, float]:
    """A row of report.json: metrics of the test split before and after temperature scaling.

    The temperature is fitted on the validation split. If that has fewer than 2,000 images, where
    the prior counts, the maximum-likelihood temperature is there too, as `temperature_ml`.
    Log-probabilities are N×classes, labels N.
    """
    temperature = fit_temperature(validation_log_probs, validation_labels)
    calibrated = apply_temperature(test_log_probs, temperature)
    found = {"temperature": temperature, **both_scores(test_log_probs, calibrated, test_labels)}
    if len(validation_labels) < _FEW:
        found["temperature_ml"] = fit_temperature(
            validation_log_probs, validation_labels, prior=False
        )
    return found


def both_scores(
    log_probs: np.ndarray, calibrated: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """The metrics of `score` for log-probabilities N×classes before and after calibration."""
    return {
        "accuracy": metrics.accuracy(log_probs, labels),
        "nll": metrics.nll(log_probs, labels),
        "brier": metrics.brier(log_probs, labels),
        "ece": metrics.expected_calibration_error(log_probs, labels),
        "adaptive_ece": metrics.adaptive_calibration_error(log_probs, labels),
        "aurc": metrics.area_under_risk_coverage(log_probs, labels),
        "calibrated_nll": metrics.nll(calibrated, labels),
        "calibrated_brier": metrics.brier(calibrated, labels),
        "calibrated_ece": metrics.expected_calibration_error(calibrated, labels),
        "calibrated_adaptive_ece": metrics.adaptive_calibration_error(calibrated, labels),
    }


def log_prob_predictor(
    model: "keras.Model", batch_size: int = 500
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images to log-probabilities, which compiles the model once.

    Args:
        model: a classifier that gives logits or probabilities, or a model with members, whose
            outputs are a dict with `log_probabilities`, N×members×classes, as `BridgeEnsemble`.

    Returns:
        A function from images N×H×W×C, raw pixels, to N×classes, or members×N×classes for a model
        with members; float64.
    """
    if isinstance(getattr(model, "output", None), dict):

        def predict(images: np.ndarray) -> np.ndarray:
            outputs = model.predict(images, batch_size=batch_size, verbose=0)
            return np.moveaxis(outputs["log_probabilities"], 1, 0).astype("float64")

        return predict
    return functools.partial(network_predictor(batch_size), model)


def network_predictor(batch_size: int = 500) -> Callable[["keras.Model", np.ndarray], np.ndarray]:
    """Like `log_prob_predictor`, for networks that differ only in their weights; compiled once.

    Returns:
        A function from a network and images N×H×W×C to N×classes.
    """
    from scipy.special import log_softmax

    from bridge_tf.networks.classifier import logits_copy
    from bridge_tf.utils.keras_utils import copy_values

    compiled: list = []

    def predict(network: "keras.Model", images: np.ndarray) -> np.ndarray:
        classifier = logits_copy(network)
        if compiled:
            copy_values(classifier.variables, compiled[0].variables)
        else:
            compiled.append(classifier)
        logits = compiled[0].predict(images, batch_size=batch_size, verbose=0)
        return log_softmax(logits.astype("float64"), axis=1)

    return predict


def evaluate(
    model: "keras.Model",
    test: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """Metrics of any classifier or bridge ensemble, as in a row of report.json.

    Args:
        model: a classifier that gives logits or probabilities, N×classes, or N×1 for two classes;
            or a `BridgeEnsemble`.
        test, validation: (images N×H×W×C, labels N); the temperature is fitted on the second.

    Returns:
        accuracy, nll, brier, ece, adaptive_ece, aurc, temperature, calibrated_nll,
        calibrated_brier, calibrated_ece, calibrated_adaptive_ece; temperature_ml with fewer than
        2,000 validation images. The figures without "calibrated" are those of temperature 1, also
        for an ensemble that has a temperature.

    Raises:
        InputError: the model is a multi-label classifier, or labels are no numbers of its classes.
    """
    predict = log_prob_predictor(model)
    log_probs = [predict(images) for images, _ in (test, validation)]
    if log_probs[0].ndim == 3:
        log_probs = [metrics.ensemble_log_probs(members) for members in log_probs]
    labels = [
        class_numbers(split[1], log_probs[0].shape[-1], f"{name} labels")
        for name, split in (("test", test), ("validation", validation))
    ]
    return score(log_probs[0], labels[0], log_probs[1], labels[1])


def calibrate(
    ensemble: "BridgeEnsemble", validation: tuple[np.ndarray, np.ndarray]
) -> "BridgeEnsemble":
    """A copy of a bridge ensemble with the temperatures of a validation split.

    Args:
        ensemble: a `BridgeEnsemble`.
        validation: (images N×H×W×C, labels N) that no network was trained on.
    """
    images, labels = validation
    classes = ensemble.output["probabilities"].shape[-1]
    labels = class_numbers(labels, classes, "validation labels")
    return ensemble.calibrated(*fit_temperatures(ensemble, images, labels))


def fit_temperatures(
    ensemble: "BridgeEnsemble", images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """The temperatures of a `BridgeEnsemble` and of its base, rounded to six digits.

    Raises:
        TrainingError: it predicts NaN.
    """
    members = log_prob_predictor(ensemble)(images)
    if np.isnan(members).any():
        raise TrainingError(
            "the ensemble answers with what is not a number; train with a lower `learning_rate` in "
            "another `workdir`"
        )
    fitted = (fit_temperature(x, labels) for x in (metrics.ensemble_log_probs(members), members[0]))
    ensemble_temperature, base_temperature = map(rounded, fitted)
    return ensemble_temperature, base_temperature
