"""All metrics of one predictor."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature, rounded
from bridge_tf.evaluation.conformal import PredictionSets, fit_sets
from bridge_tf.utils.errors import InputError, TrainingError

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

    Raises:
        InputError: the model has several outputs but no such members, as a `CascadeEnsemble`.
    """
    if isinstance(getattr(model, "output", None), dict):
        if "log_probabilities" not in model.output:
            raise InputError(
                f"{model.name} has no members that predict every image; evaluate its parts"
            )

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
        # As `predict` does, whose pipeline takes longer to build than few images to predict.
        starts = range(0, len(images), batch_size)
        logits = [compiled[0].predict_on_batch(images[k : k + batch_size]) for k in starts]
        return log_softmax(np.concatenate(logits).astype("float64"), axis=1)

    return predict


def evaluate(model: "keras.Model", test: Any, validation: Any) -> dict[str, float]:
    """Metrics of any classifier or bridge ensemble, as in a row of report.json.

    Args:
        model: a classifier that gives logits or probabilities, N×classes, or N×1 for two classes;
            or a `BridgeEnsemble`.
        test: (images N×H×W×C, labels N): a tuple of arrays, a `Split`, or batches of such pairs: a
            `tf.data.Dataset` or a `keras.utils.PyDataset`, which must end. Labels are integers
            0…classes-1, or one-hot, N×classes.
        validation: in the same forms; the temperature is fitted on it.

    Returns:
        accuracy, nll, brier, ece, adaptive_ece, aurc, temperature, calibrated_nll,
        calibrated_brier, calibrated_ece, calibrated_adaptive_ece; temperature_ml with fewer than
        2,000 validation images. Fractions and nats. The figures without "calibrated" are those of
        temperature 1, also for an ensemble that has a temperature.

    Raises:
        InputError: the model is a multi-label classifier, data never end, or labels are missing or
            no numbers of its classes.

    Example::

        figures = bridge_tf.evaluate(ensemble, (images, labels), (images, labels))
        print(figures["accuracy"], figures["calibrated_nll"])
    """
    predict = log_prob_predictor(model)
    found: list[np.ndarray] = []
    for name, data in (("test", test), ("validation", validation)):
        log_probs, labels = _predicted(predict, data, name)
        mean = metrics.ensemble_log_probs(log_probs) if log_probs.ndim == 3 else log_probs
        found += [mean, labels]
    return score(*found)


def _predicted(predict: Callable, data: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities and labels of data, of which few rows are held at once."""
    from bridge_tf.data.inputs import chunks
    from bridge_tf.data.labels import check_labels

    pairs = [(predict(inputs), labels) for inputs, labels in chunks(data, name)]
    log_probs = np.concatenate([x for x, _ in pairs], axis=-2)
    labels = np.concatenate([y for _, y in pairs])
    check_labels(labels, log_probs.shape[-1], f"{name} labels")
    return log_probs, labels


def calibrate(ensemble: "BridgeEnsemble", validation: Any) -> "BridgeEnsemble":
    """A copy of a bridge ensemble with the temperatures of a validation split.

    Args:
        ensemble: a `BridgeEnsemble`.
        validation: (images N×H×W×C, labels N) that no network was trained on, in the forms that
            `evaluate` takes.

    Raises:
        InputError: as `evaluate`.
        TrainingError: the ensemble predicts NaN.

    Example::

        ensemble = bridge_tf.calibrate(ensemble, (images, labels))
        print(ensemble.temperature, ensemble.base_temperature)
    """
    members, labels = _predicted(log_prob_predictor(ensemble), validation, "validation")
    return ensemble.calibrated(*_temperatures(members, labels))


def fit_prediction_sets(
    ensemble: "BridgeEnsemble", validation: Any, coverage: float
) -> PredictionSets:
    """Prediction sets of a bridge ensemble's probabilities, calibrated by its temperature.

    Args:
        ensemble: a `BridgeEnsemble`, with the temperatures that it is exported with.
        validation: as for `calibrate`.
        coverage: the wanted share of images whose set holds the true class, in (0, 1).

    Raises:
        InputError: as `evaluate`, or there are too few images for this coverage.

    Example::

        sets = bridge_tf.evaluation.fit_prediction_sets(ensemble, (images, labels), 0.9)
        print(sets.predict(ensemble.predict(images)["probabilities"]))
    """
    members, labels = _predicted(log_prob_predictor(ensemble), validation, "validation")
    log_probs = apply_temperature(metrics.ensemble_log_probs(members), ensemble.temperature)
    return fit_sets(np.exp(log_probs), labels, coverage)


def fit_temperatures(
    ensemble: "BridgeEnsemble", images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """The temperatures of a `BridgeEnsemble` and of its base, rounded to six digits.

    Raises:
        TrainingError: it predicts NaN.
    """
    return _temperatures(log_prob_predictor(ensemble)(images), labels)


def _temperatures(members: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    if np.isnan(members).any():
        raise TrainingError(
            "the ensemble answers with what is not a number; train with a lower `learning_rate` in "
            "another `workdir`"
        )
    fitted = (fit_temperature(x, labels) for x in (metrics.ensemble_log_probs(members), members[0]))
    ensemble_temperature, base_temperature = map(rounded, fitted)
    return ensemble_temperature, base_temperature
