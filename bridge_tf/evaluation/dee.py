"""Deep-ensemble equivalents (Ashukha et al., ICLR 2020, section 5)."""

import itertools
from collections.abc import Sequence


def deep_ensemble_equivalent(
    calibrated_nll: float, yardstick: Sequence[float]
) -> tuple[float | None, bool]:
    """The size of the plain deep ensemble with the same calibrated NLL.

    Linear between the sizes measured. Below size 1 and past the best size the nearest segment's
    slope goes on. Sizes that are no better than a smaller one are left out, so that the
    equivalent falls strictly as the calibrated NLL rises.

    Args:
        calibrated_nll: nats.
        yardstick: calibrated NLL of deep ensembles of size 1, 2, ….

    Returns:
        (equivalent, extrapolated). Where fewer than two sizes count, only the yardstick's own
        first value has an equivalent (1), anything else None.
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
    for (a, at_a), (b, at_b) in segments:
        if calibrated_nll >= at_b or (b, at_b) == points[-1]:
            return a + (b - a) * (at_a - calibrated_nll) / (at_a - at_b), extrapolated
    raise AssertionError("the last segment always returns")
