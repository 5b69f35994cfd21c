"""Deep-ensemble equivalents (Ashukha et al., ICLR 2020, section 5)."""

import itertools
from collections.abc import Sequence


def deep_ensemble_equivalent(
    calibrated_nll: float, yardstick: Sequence[float]
) -> tuple[float | None, bool]:
    """The size of the plain deep ensemble with the same calibrated NLL.

    It is interpolated linearly between the measured sizes. Below size 1 and above the best size,
    the nearest segment is extrapolated. Sizes that are no better than a smaller one are left out,
    so that a higher calibrated NLL always gives a smaller equivalent.

    Args:
        yardstick: calibrated NLL, in nats, of deep ensembles of size 1, 2, ….

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
