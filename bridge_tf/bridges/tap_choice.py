"""Choosing where a bridge taps its base, and how wide it is, within a budget of FLOPs."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.networks.classifier import as_classifier
from bridge_tf.networks.flops import count_flops, count_flops_of_outputs
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import cuts, extractor

WIDTHS = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
# Between two cuts that cost less than this apart, as a normalization and its activation, the later
# is the better one: what lies between needs no second copy in the bridge.
_SAME = 0.005


@dataclasses.dataclass(frozen=True)
class Choice:
    """A bridge that fits a budget.

    Attributes:
        tap: the layer that feeds it.
        width: factor of its channels.
        relative_flops: its FLOPs over the base's.
        why: how it was chosen, in one sentence.
    """

    tap: str
    width: float
    relative_flops: float
    why: str


def choose_bridge(
    base: keras.Model, budget: float, *, widths: Sequence[float] = WIDTHS, **options: Any
) -> Choice:
    """The tap and width of the bridge that `taps=auto` builds (TensorFlow backend).

    For each width the earliest cut whose bridge keeps to the budget is found. Of these bridges
    the widest is taken that uses at least half the budget: at equal cost a wide body from a
    late tap follows its member better than a narrow one from an early tap
    (docs/results/bridge_choices.md), but what costs next to nothing can't follow at all.

    Args:
        base: a Functional or Sequential classifier.
        budget: FLOPs of the bridge, of a conditioned one at one position, over those of the
            base, > 0.
        widths: to choose from.
        **options: of `build_bridge`: bridge_type, residual, conditioned.

    Raises:
        InputError: no bridge keeps to the budget; the message names the cheapest.
    """
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
            f"`bridge_budget={budget:g}`: the cheapest bridge of {base.name}, from "
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
    """For each width the bridge from the earliest cut that keeps to a budget, if there is one."""
    candidates = _Candidates(as_classifier(base), {})
    found: dict = {}
    for width in widths:
        if choice := candidates.first_within(budget, width):
            # A body without channels of its own is the same at every width.
            found.setdefault((choice.tap, choice.relative_flops), choice)
    return list(found.values())


class _Candidates:
    """The cuts of a base, and what bridges from them cost."""

    def __init__(self, base: keras.Model, options: dict[str, Any]):
        self.base, self.options = base, options
        self._costs: dict[tuple[str, float], float] = {}
        self.flops = count_flops(base)
        names = cuts(base)
        if not names:
            raise InputError(f"`taps=auto`: {base.name} can't be cut anywhere")
        before = count_flops_of_outputs(extractor(base, names, logits=False))
        # Of cuts that cost the same, the last one; with the share of the FLOPs that is behind it.
        self.taps = {
            name: 1 - before[k] / self.flops
            for k, name in enumerate(names)
            if k + 1 == len(names) or before[k + 1] - before[k] >= _SAME * self.flops
        }

    def cost(self, tap: str, width: float) -> float:
        """FLOPs of a bridge over the base's."""
        if (tap, width) not in self._costs:
            flops = count_flops(build_bridge(self.base, tap, width, **self.options))
            self._costs[tap, width] = flops / self.flops
        return self._costs[tap, width]

    def first_within(self, budget: float, width: float) -> Choice | None:
        """The bridge of this width from the earliest cut that keeps to the budget."""
        for tap, behind in self.taps.items():
            # No layer gets by with less than the square of its width, but for rounding; so early
            # cuts needn't be built.
            least = behind * min(1, width) ** 2 / 2
            if least <= budget and self.cost(tap, width) <= budget:
                return Choice(tap, width, self.cost(tap, width), "")
        return None
