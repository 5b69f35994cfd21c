"""Early exit: the base's prediction where it is confident, else the whole ensemble's.

Confidence is the probability of the top class before calibration, as in cascades of networks (Wang
et al., "Wisdom of Committees", ICLR 2022, section 4). The base's predictions that are final have a
temperature of their own, since they are those of its confident images alone.
"""

import math
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.scores import both_scores

# Above every confidence: the whole ensemble predicts all images.
ALWAYS = 2.0


def going_on(bridge_type: int, whole: float) -> float:
    """The cost of the ensemble after the base, if it costs `whole` at once.

    Type I continues from the base's features; with Type II the whole ensemble is run.
    """
    return whole - 1 if bridge_type == 1 else whole


def choose_threshold(base_log_probs, budget: float, more: float) -> float:
    """The confidence below which the whole ensemble predicts an image, for an average cost.

    Args:
        base_log_probs: the base's of validation images, N×classes.
        budget: target for the mean cost of an image relative to the base's, at least 1.
        more: the additional cost of an image that the whole ensemble predicts, relative to the
            base's, above 0.

    Returns:
        The highest threshold with a mean cost of at most `budget` on these images; `ALWAYS` if the
        ensemble may predict all of them.
    """
    confidence = np.sort(confidences(base_log_probs))
    # A share of exactly k images stays k after rounding.
    number = math.floor((budget - 1) / more * len(confidence) + 1e-9)
    return float(confidence[number]) if number < len(confidence) else ALWAYS


def confidences(log_probs) -> np.ndarray:
    """The probability of the top class, N; float32, as exported files give it."""
    return np.exp(np.max(log_probs, axis=1)).astype("float32")


def fit_early_exit(base_log_probs, labels, budget: float, more: float) -> dict[str, float]:
    """The threshold for an average cost, and the temperature of the predictions that are final.

    Args:
        base_log_probs, budget, more: as for `choose_threshold`.
        labels: N, of the validation images.
    """
    threshold = choose_threshold(base_log_probs, budget, more)
    final = confidences(base_log_probs) >= threshold
    temperature = fit_temperature(base_log_probs[final], labels[final]) if final.any() else 1.0
    return {"threshold": threshold, "temperature": temperature}


def measure_early_exit(
    base: Sequence[np.ndarray],
    whole: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    budget: float,
    more: float,
    yardstick: Sequence[float],
) -> dict:
    """The figures of early exit at a mean cost: `early_exit` of report.json.

    Args:
        base, whole: log-probabilities of base and ensemble, N×classes, of test and validation
            split; the threshold and the temperatures are fitted on the second.
        labels: N, of both splits.
        budget, more: as for `choose_threshold`.
        yardstick: calibrated NLL of deep ensembles of size 1, 2, ….

    Returns:
        budget; threshold; share of test images that the ensemble predicts; relative_flops, the mean
        over test images; temperature, of the base's final predictions; and the figures of a row of
        the comparison.
    """
    fitted = fit_early_exit(base[1], labels[1], budget, more)
    goes_on = confidences(base[0]) < fitted["threshold"]
    pairs = (
        (base[0], whole[0]),
        (
            apply_temperature(base[0], fitted["temperature"]),
            apply_temperature(whole[0], fit_temperature(whole[1], labels[1])),
        ),
    )
    figures = both_scores(*(np.where(goes_on[:, None], b, a) for a, b in pairs), labels[0])
    dee, extrapolated = deep_ensemble_equivalent(figures["calibrated_nll"], yardstick)
    share = float(goes_on.mean())
    return {
        "budget": budget,
        **fitted,
        "share": share,
        "relative_flops": 1 + share * more,
        **figures,
        "dee": dee,
        "dee_extrapolated": extrapolated,
    }
