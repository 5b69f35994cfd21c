"""The choice of a bridge's tap and width within a budget of FLOPs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.networks.classifier import as_classifier
from bridge_tf.networks.flops import count_flops, count_flops_of_outputs
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import behind_weights, cuts, extractor

WIDTHS = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
# Of two cuts whose costs differ by less than this, the later is better: it copies fewer layers.
_SAME = 0.005


@dataclasses.dataclass(frozen=True)
class Choice:
    """A bridge that fits a budget; its FLOPs are relative to the base's."""

    tap: str
    width: float
    relative_flops: float
    why: str


def choose_bridge(
    base: keras.Model,
    budget: float,
    *,
    widths: Sequence[float] = WIDTHS,
    bridge_type: int = 1,
    residual: bool = False,
    conditioned: bool = False,
    argument: str = "budget",
) -> Choice:
    """Chooses the tap and width of a bridge, as `taps=auto` does (TensorFlow backend).

    For each width it finds the earliest cut within the budget; of these it takes the widest bridge
    that uses at least half. At equal cost, a wide body behind a late tap predicts better than a
    narrow one behind an early tap (docs/results/bridge_choices.md).

    Args:
        base: a Functional or Sequential classifier.
        budget: maximum FLOPs of the bridge (at one position) relative to the base's, > 0.
        widths: the candidates, each > 0.
        bridge_type: as in `build_bridge`.
        residual: as in `build_bridge`.
        conditioned: as in `build_bridge`.
        argument: the name of the budget, for the message.

    Returns:
        A `Choice`: `tap`, `width`, `relative_flops` (to the base's) and `why`, a sentence.

    Raises:
        InputError: no bridge is within the budget; the message names the cheapest.

    Example::

        choice = bridge_tf.choose_bridge(modes[0], budget=0.5)
        bridge = bridge_tf.build_bridge(modes[0], choice.tap, choice.width)
    """
    options = {"bridge_type": bridge_type, "residual": residual, "conditioned": conditioned}
    base = as_classifier(base)
    candidates = _Candidates(base, options)
    found = []
    for width in sorted(widths, reverse=True):
        if choice := candidates.first_within(budget, width):
            found.append(choice)
            if choice.relative_flops >= budget / 2:
                break
    if not found:
        width = min(widths)
        costs = {candidates.cost(tap, width): tap for tap in candidates.taps}
        raise InputError(
            f"`{argument}={budget:g}`: the cheapest bridge of {base.name}, from "
            f"'{costs[min(costs)]}' at width {width:g}, costs {min(costs):.2g} of the base's FLOPs"
        )
    choice = max(found, key=lambda c: c.relative_flops)
    enough = choice.relative_flops >= budget / 2
    why = "the widest that uses at least half" if enough else "none uses half"
    tried = {c.tap: f"'{c.tap}' at width {c.width:g} ({c.relative_flops:.3f})" for c in found}
    earliest = ", ".join(tried.values())
    return dataclasses.replace(
        choice, why=f"{why} of the budget of {budget:g}; the earliest within it: {earliest}"
    )


def candidates_within(
    base: keras.Model, budget: float, widths: Sequence[float] = WIDTHS
) -> list[Choice]:
    """For each width, the bridge from the earliest cut within a budget, if there is one."""
    candidates = _Candidates(as_classifier(base), {})
    found: dict = {}
    for width in widths:
        if choice := candidates.first_within(budget, width):
            # A body without layers that set channels is the same at every width.
            found.setdefault((choice.tap, choice.relative_flops), choice)
    return list(found.values())


class _Candidates:
    """The cuts of a base, and the costs of bridges from them."""

    def __init__(self, base: keras.Model, options: dict[str, Any]):
        self.base, self.options = base, options
        self._costs: dict[tuple[str, float], float] = {}
        self.flops = count_flops(base)
        if not self.flops:
            raise InputError(f"the FLOPs of {base.name} can't be counted; choose tap and width")
        names = behind_weights(base, cuts(base))
        if not names:
            raise InputError(
                f"`taps=auto`: {base.name} can't be cut anywhere between its first weights and its "
                "last"
            )
        before = count_flops_of_outputs(extractor(base, names, logits=False))
        # Of cuts with equal costs, the last one, with the share of the FLOPs behind it.
        self.taps = {
            name: 1 - before[k] / self.flops
            for k, name in enumerate(names)
            if k + 1 == len(names) or before[k + 1] - before[k] >= _SAME * self.flops
        }

    def cost(self, tap: str, width: float) -> float:
        """FLOPs of a bridge relative to the base's."""
        if (tap, width) not in self._costs:
            flops = count_flops(build_bridge(self.base, tap, width, **self.options))
            self._costs[tap, width] = flops / self.flops
        return self._costs[tap, width]

    def first_within(self, budget: float, width: float) -> Choice | None:
        for tap, behind in self.taps.items():
            # FLOPs fall at most with the square of the width; 2 allows for rounding.
            least = behind * min(1, width) ** 2 / 2
            if least <= budget and self.cost(tap, width) <= budget:
                return Choice(tap, width, self.cost(tap, width), "")
        return None
