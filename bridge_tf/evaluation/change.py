"""What another calibration changes, on images that it wasn't fitted on."""

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.metrics import accuracy
from bridge_tf.evaluation.recommendation import held_out_nll


def change(log_probs: np.ndarray, labels: np.ndarray, old: float | None, new: float) -> dict:
    """Accuracy, both temperatures, and NLL before and after; 95 % of the change is by 1.96 σ."""
    before = -apply_temperature(log_probs, old or 1.0)[np.arange(len(labels)), labels]
    return {
        "accuracy": accuracy(log_probs, labels),
        "old_temperature": old,
        "temperature": None if old is None else new,
        "factor": new / (old or 1.0),
        **before_and_after(before, held_out_nll(log_probs, labels)),
    }


def before_and_after(before: np.ndarray, after: np.ndarray) -> dict:
    """The mean NLL of images before and after, and the interval of the change."""
    differences = after - before
    error = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    mean = float(differences.mean())
    return {
        "nll_before": float(before.mean()),
        "nll_after": float(before.mean() + mean),
        "change": [float(mean - error), float(mean + error)],
    }
