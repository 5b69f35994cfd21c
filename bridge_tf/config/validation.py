"""Settings: dataclass fields with help and limits."""

import dataclasses
import math
from typing import Any

from bridge_tf.utils.errors import InputError

# Of int32 and float32, in which counts and rates are computed.
_MOST_INT, _MOST_FLOAT = 2**31 - 1, 3.4e38


def setting(default: Any, help_text: str, **checks: Any) -> Any:
    """A dataclass field for a setting, with limits: low, above, high, below, choices."""
    return dataclasses.field(default=default, metadata={"help": help_text, **checks})


def text_of(value: object) -> str:
    """The value of a setting as text, in the form of the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def check_setting(field: dataclasses.Field, value: Any) -> None:
    """Raises an InputError if a value is outside its limits; None, a default, always passes."""
    if value is None and field.default is None:
        return
    for number in value if isinstance(value, tuple) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise InputError(f"`{field.name}={text_of(value)}`: must be a finite number")
        for rule, text, holds in (
            ("low", "at least", lambda a, b: a >= b),
            ("above", "above", lambda a, b: a > b),
            ("high", "at most", lambda a, b: a <= b),
            ("below", "below", lambda a, b: a < b),
        ):
            bound = field.metadata.get(rule)
            if rule == "high" and bound is None:
                bound = _most(number)
            if bound is not None and not holds(number, bound):
                raise InputError(f"`{field.name}={text_of(value)}`: must be {text} {bound}")
    choices = field.metadata.get("choices")
    if choices is not None and set(value if isinstance(value, tuple) else [value]) - set(choices):
        known = ", ".join(map(str, choices))
        many = "one or more" if isinstance(value, tuple) else "one"
        raise InputError(f"`{field.name}={text_of(value)}`: must be {many} of {known}")


def _most(number: Any) -> int | float | None:
    """The largest value of a setting without a limit of its own."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return _MOST_INT if isinstance(number, int) else _MOST_FLOAT
