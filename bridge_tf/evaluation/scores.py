"""All metrics of one predictor."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature

if TYPE_CHECKING:
    import keras


def score(
    test_log_probs: np.ndarray,
    test_labels: np.ndarray,
    validation_log_probs: np.ndarray,
    validation_labels: np.ndarray,
) -> dict[str, float]:
    """A row of report.json: metrics of the test split before and after temperature scaling.

    The temperature is fitted on the validation split. Log-probabilities are N×classes, labels N.
    """
    temperature = fit_temperature(validation_log_probs, validation_labels)
    calibrated = apply_temperature(test_log_probs, temperature)
    return {
        "accuracy": metrics.accuracy(test_log_probs, test_labels),
        "nll": metrics.nll(test_log_probs, test_labels),
        "brier": metrics.brier(test_log_probs, test_labels),
        "ece": metrics.expected_calibration_error(test_log_probs, test_labels),
        "adaptive_ece": metrics.adaptive_calibration_error(test_log_probs, test_labels),
        "aurc": metrics.area_under_risk_coverage(test_log_probs, test_labels),
        "temperature": temperature,
        "calibrated_nll": metrics.nll(calibrated, test_labels),
        "calibrated_brier": metrics.brier(calibrated, test_labels),
        "calibrated_ece": metrics.expected_calibration_error(calibrated, test_labels),
        "calibrated_adaptive_ece": metrics.adaptive_calibration_error(calibrated, test_labels),
    }


def log_prob_predictor(
    model: "keras.Model", batch_size: int = 500
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images to log-probabilities, which compiles the model once.

    Args:
        model: a classifier that ends in logits or a softmax, or a model with members, whose
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
        model: a classifier that ends in logits or a softmax, or a `BridgeEnsemble`.
        test, validation: (images N×H×W×C, labels N); the temperature is fitted on the second.

    Returns:
        accuracy, nll, brier, ece, adaptive_ece, aurc, temperature, calibrated_nll,
        calibrated_brier, calibrated_ece, calibrated_adaptive_ece.
    """
    predict = log_prob_predictor(model)
    log_probs = [predict(images) for images, _ in (test, validation)]
    if log_probs[0].ndim == 3:
        log_probs = [metrics.ensemble_log_probs(members) for members in log_probs]
    return score(log_probs[0], test[1], log_probs[1], validation[1])
