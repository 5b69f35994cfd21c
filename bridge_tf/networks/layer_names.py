"""Layer names that don't depend on other models in the process, as Keras's numbers do."""

import collections
import re
from collections.abc import Iterable


def automatic_prefix(layer) -> str | None:
    """`conv2d` for a Conv2D called `conv2d_7`; None for a layer that was given a name."""
    prefix = _prefix(layer.name)
    return prefix if prefix.replace("_", "") == type(layer).__name__.lower() else None


def numbered(names: Iterable[str], prefixes: set[str | None]) -> list[str]:
    """Renumbers the names that have one of `prefixes`: `conv2d`, `conv2d_1`, …"""
    seen = collections.Counter()
    result = []
    for name in names:
        prefix = _prefix(name)
        if prefix in prefixes:
            name = f"{prefix}_{seen[prefix]}" if seen[prefix] else prefix
            seen[prefix] += 1
        result.append(name)
    return result


def number_layers(model) -> None:
    """Numbers the unnamed operations of a Functional model, in place."""
    prefixes = {automatic_prefix(item) for item in model.operations}
    names = numbered([item.name for item in model.operations], prefixes)
    for item, name in zip(model.operations, names, strict=True):
        item.name = name


def _prefix(name: str) -> str:
    return re.sub(r"_\d+$", "", name)
