"""Cascades: a first stage predicts the images that it is sure of, a second one all others.

Wang et al., "Wisdom of Committees" (ICLR 2022, section 4). Confidence is the first stage's top
probability after temperature scaling. Each stage has one temperature, of the whole validation
split; which images go on is the same before and after calibration.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.early_exit import ALWAYS, choose_threshold, confidences

SHARES = 21


@dataclasses.dataclass(frozen=True)
class Cascade:
    """Two stages and the confidence that decides between them.

    Args:
        temperatures: of the first stage and of the second, above 0.
        flops: what an image costs that the first stage predicts, and one that goes on, which has
            both costs; relative to one network.
        threshold: images of a lower confidence go on.
    """

    temperatures: tuple[float, float]
    flops: tuple[float, float]
    threshold: float = ALWAYS

    def goes_on(self, first: np.ndarray) -> np.ndarray:
        """Which images go on, N, by the first stage's log-probabilities, N×classes."""
        return confidences(apply_temperature(first, self.temperatures[0])) < self.threshold

    def average_flops(self, goes_on: np.ndarray) -> float:
        """The mean cost of images, of which these go on, relative to one network."""
        once, whole = self.flops
        return float(once + (whole - once) * np.mean(goes_on))

    def calibrated(self, stages: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Both stages' log-probabilities, N×classes, after temperature scaling."""
        pairs = zip(stages, self.temperatures, strict=True)
        return [apply_temperature(log_probs, temperature) for log_probs, temperature in pairs]

    def predict(self, stages: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-probabilities N×classes before and after calibration, and which images go on, N.

        `stages` are both stages' log-probabilities of all images, N×classes.
        """
        goes_on = self.goes_on(stages[0])
        raw, calibrated = (
            np.where(goes_on[:, None], second, first)
            for first, second in (stages, self.calibrated(stages))
        )
        return raw, calibrated, goes_on


def fit_cascade(
    first: np.ndarray,
    temperatures: tuple[float, float],
    flops: tuple[float, float],
    average_cost: float,
) -> Cascade | None:
    """The cascade of the highest threshold with a mean cost of at most `average_cost`.

    Args:
        first: the first stage's log-probabilities of validation images, N×classes.
        temperatures, flops: as for `Cascade`; the second cost is above the first.
        average_cost: the mean cost of these images, relative to one network.

    Returns:
        None if the first stage alone costs more. If all images may go on, all do.
    """
    once, whole = flops
    if once > average_cost:
        return None
    calibrated = apply_temperature(first, temperatures[0])
    threshold = choose_threshold(calibrated, 1 + average_cost - once, whole - once)
    return Cascade(temperatures, flops, threshold)


def cascade_curve(
    cascade: Cascade,
    stages: Sequence[np.ndarray],
    labels: np.ndarray,
    validation: np.ndarray,
    shares: int = SHARES,
) -> list[dict[str, float]]:
    """Quality over average cost, whatever the cascade's threshold.

    Args:
        stages: both stages' log-probabilities of test images, N×classes.
        labels: N, of these.
        validation: the first stage's log-probabilities of validation images, of whose confidences
            the thresholds are quantiles: so that none of them goes on, …, all do.
        shares: the number of points.

    Returns:
        For each point its threshold, and of the test images share_going_on, average_flops,
        accuracy and calibrated_nll.
    """
    confidence = apply_temperature(validation, cascade.temperatures[0])
    calibrated = cascade.calibrated(stages)
    tested = confidences(calibrated[0])
    right = [log_probs.argmax(axis=1) == labels for log_probs in stages]
    loss = [-log_probs[np.arange(len(labels)), labels] for log_probs in calibrated]
    points = []
    for share in np.linspace(0, 1, shares):
        threshold = choose_threshold(confidence, 1 + share, 1)
        goes_on = tested < threshold
        points.append(
            {
                "threshold": threshold,
                "share_going_on": float(goes_on.mean()),
                "average_flops": cascade.average_flops(goes_on),
                "accuracy": float(np.where(goes_on, right[1], right[0]).mean()),
                "calibrated_nll": float(np.where(goes_on, loss[1], loss[0]).mean()),
            }
        )
    return points
