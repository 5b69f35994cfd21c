"""Early exit: the base's prediction where it is confident, else the whole ensemble's.

Confidence is the probability of the top class, as in cascades of networks (Wang et al., "Wisdom of
Committees", ICLR 2022, section 4).
"""

import math
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.scores import score

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


def early_answers(base_log_probs, whole_log_probs, threshold: float) -> tuple[np.ndarray, float]:
    """Log-probabilities N×classes, and the share of images that the whole ensemble predicts."""
    goes_on = confidences(base_log_probs) < threshold
    answers = np.where(goes_on[:, None], whole_log_probs, base_log_probs)
    return answers, float(goes_on.mean())


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
            split; the threshold and the temperature are fitted on the second.
        labels: N, of both splits.
        budget, more: as for `choose_threshold`.
        yardstick: calibrated NLL of deep ensembles of size 1, 2, ….

    Returns:
        budget; threshold; share of test images that the ensemble predicts; relative_flops, the mean
        over test images; and the figures of a row of the comparison.
    """
    threshold = choose_threshold(base[1], budget, more)
    (test, share), (validation, _) = (
        early_answers(*log_probs, threshold) for log_probs in zip(base, whole, strict=True)
    )
    figures = score(test, labels[0], validation, labels[1])
    dee, extrapolated = deep_ensemble_equivalent(figures["calibrated_nll"], yardstick)
    return {
        "budget": budget,
        "threshold": threshold,
        "share": share,
        "relative_flops": 1 + share * more,
        **figures,
        "dee": dee,
        "dee_extrapolated": extrapolated,
    }
