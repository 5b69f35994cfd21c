"""Networks of another width at a given cost: a wide one (Abe et al., NeurIPS 2022), packed ones."""

from collections.abc import Callable

from bridge_tf.networks.flops import count_flops

_MOST, _TRIES = 16.0, 12


def width_for(build: Callable, flops: int) -> float:
    """The width at which a network's FLOPs are nearest to `flops`, by bisection.

    Numbers of channels are whole, so that a network of few channels may miss them by some percent.

    Args:
        build: a function from the factor on the channels, > 0, to a built model.
        flops: of one image's inference.
    """
    low, high = 1.0, 2.0
    tried = {low: count_flops(build(low))}

    def cost(width: float) -> int:
        if width not in tried:
            tried[width] = count_flops(build(width))
        return tried[width]

    while cost(high) < flops and high < _MOST:
        low, high = high, 2 * high
    while cost(low) > flops and low > 1 / _MOST:
        low, high = low / 2, low
    for _ in range(_TRIES):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < flops else (low, middle)
    return min(tried, key=lambda width: (abs(tried[width] - flops), width))
