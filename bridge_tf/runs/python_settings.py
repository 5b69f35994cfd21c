"""The settings of a run as arguments of Python."""

import dataclasses
import difflib
import inspect
import numbers
import os
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from bridge_tf.config import Config
from bridge_tf.utils.errors import InputError

_FIELDS = {field.name: field for field in dataclasses.fields(Config)}
# Of arguments that `train` has itself.
_OWN = ("dataset", "model", "export_dir")


def with_settings(function: Callable) -> Callable:
    """Spells out **settings, so that `help` names each of them."""
    own = inspect.signature(function).parameters.values()
    settings = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for name, field in _FIELDS.items()
        if name not in _OWN
    ]
    kept = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    function.__signature__ = inspect.Signature([*kept, *settings])  # type: ignore[attr-defined]
    entries = [
        textwrap.fill(
            f"{setting.name}: {_FIELDS[setting.name].metadata['help']}",
            width=84,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
        )
        for setting in settings
    ]
    line = "    **settings: as the flags of `bridge-tf train`.\n"
    # Python 3.13 takes the indentation away itself.
    text = inspect.cleandoc(function.__doc__ or "")
    function.__doc__ = text.replace(line, "\n".join(entries) + "\n")
    return function


def budget_settings(budget: float | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a budget stands for."""
    if budget is None:
        return {}
    if "budget_flops" in settings:
        raise InputError("`budget`: is `budget_flops` too; leave one of them out")
    flops = typed("budget_flops", budget)
    if flops > 1 and "average_cost" not in settings:
        return {"budget_flops": flops, "average_cost": flops}
    return {"budget_flops": flops}


def typed(name: str, value: Any) -> Any:
    """A setting in the type of its field, in which its flag gives it."""
    if name not in _FIELDS:
        near = difflib.get_close_matches(name, _FIELDS, 3)
        hint = f"nearest: {', '.join(near)}" if near else "help(bridge_tf.train) lists them"
        raise InputError(f"`{name}`: is no setting of a run; {hint}")
    kind = _FIELDS[name].type
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None and _FIELDS[name].default is None:
        return value
    if kind in (list[str], list[float]):
        item = str if kind == list[str] else numbers.Real
        several = [value] if isinstance(value, str | numbers.Real) else value
        if isinstance(several, Sequence) and all(isinstance(x, item) for x in several):
            return tuple(several) if item is str else tuple(map(float, several))
        right = "texts" if item is str else "numbers"
        raise InputError(f"`{name}={value!r}`: must be a list of {right}")
    if kind is bool or isinstance(value, bool):
        fits = kind is bool and isinstance(value, bool)
    else:
        kind = kind if kind in (int, str) else float
        fits = isinstance(value, {int: numbers.Integral, str: str, float: numbers.Real}[kind])
    if not fits:
        right = {bool: "True or False", int: "a whole number", str: "text"}.get(kind, "a number")
        raise InputError(f"`{name}={value!r}`: must be {right}")
    return kind(value)
