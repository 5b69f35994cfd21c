"""Deep-ensemble equivalents (Ashukha et al., ICLR 2020, section 5)."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.bootstrap import Resamples, interval
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature

# Subsets of the modes that are averaged for one size of the yardstick, at most.
_SUBSETS = 100


def subsets_of_modes(number: int, size: int, most: int = _SUBSETS) -> list[tuple[int, ...]]:
    """Subsets of `size` of the modes 0…number-1: all, or `most` different ones, drawn by a seed."""
    if math.comb(number, size) <= most:
        return list(itertools.combinations(range(number), size))
    generator, found = np.random.default_rng(size), set()
    while len(found) < most:
        found.add(tuple(sorted(generator.choice(number, size, replace=False).tolist())))
    return sorted(found)


def measure_yardstick(
    modes: Sequence[Sequence[np.ndarray]], resamples: Resamples
) -> tuple[list[dict], np.ndarray]:
    """The quality of plain deep ensembles of size 1, 2, …: `yardstick` of report.json.

    It is the mean over subsets of the modes, so that no choice of modes and no order decides. Each
    subset has a temperature of its own.

    Args:
        modes: log-probabilities of each mode on test and validation split, N×classes.
        resamples: of the images of both splits.

    Returns:
        A dict for each size: "size", the number of "subsets", the mean "calibrated_nll", nats, and
        its 95 % "interval" over resamples of images; and that mean in each resample,
        sizes×resamples.
    """
    labels = resamples.labels
    found, resampled = [], []
    for size in range(1, len(modes) + 1):
        subsets, values, drawn = subsets_of_modes(len(modes), size), [], []
        for subset in subsets:
            members = [modes[k] for k in subset]
            test, validation = map(metrics.ensemble_log_probs, zip(*members, strict=True))
            temperature = fit_temperature(validation, labels[1])
            values.append(metrics.nll(apply_temperature(test, temperature), labels[0]))
            drawn.append(resamples.figures(test, validation, temperature)["calibrated_nll"])
        resampled.append(np.mean(drawn, axis=0))
        found.append(
            {
                "size": size,
                "subsets": len(subsets),
                "calibrated_nll": float(np.mean(values)),
                "interval": interval(resampled[-1]),
            }
        )
    return found, np.array(resampled)


def deep_ensemble_equivalent(
    calibrated_nll: float, yardstick: Sequence[float]
) -> tuple[float | None, bool]:
    """The size of the plain deep ensemble with the same calibrated NLL.

    It is interpolated linearly between the measured sizes. Below size 1 and above the best size,
    the nearest segment is extrapolated. Sizes that are no better than a smaller one are left out,
    so that a higher calibrated NLL always gives a smaller equivalent.

    Args:
        yardstick: calibrated NLL, in nats, of deep ensembles of size 1, 2, …, as
            `measure_yardstick` has it.

    Returns:
        (equivalent, extrapolated). If fewer than two sizes remain, the equivalent is 1 for the
        yardstick's first value and None for any other value.
    """
    points: list[tuple[int, float]] = []
    for size, value in enumerate(yardstick, start=1):
        if not points or value < points[-1][1]:
            points.append((size, float(value)))
    for size, value in points:
        if calibrated_nll == value:
            return float(size), False
    if len(points) < 2:
        return None, False
    extrapolated = not points[-1][1] <= calibrated_nll <= points[0][1]
    segments = list(itertools.pairwise(points))
    (a, at_a), (b, at_b) = next((s for s in segments if calibrated_nll >= s[1][1]), segments[-1])
    return a + (b - a) * (at_a - calibrated_nll) / (at_a - at_b), extrapolated
