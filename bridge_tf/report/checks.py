"""Checks of plain data: functions of a value and its place in it, which raise a ValueError."""

import math

from bridge_tf.utils.errors import reason

# No count of images, parameters or FLOPs is higher, and float() takes all that are lower.
_HIGHEST = 2**63


def of_type(types: type | tuple, wanted: str):
    def check(value, place: str) -> None:
        # To Python, True is a whole number.
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            raise ValueError(f"{place or 'all of it'} is {_short(value)}, not {wanted}")

    return check


def _short(value) -> str:
    return {dict: "an object", list: "a list"}.get(type(value)) or f"{value!r:.40}"


an_object = of_type(dict, "an object")
a_list = of_type(list, "a list")
flag = of_type(bool, "true or false")


def number(value, place: str, types=(int, float), wanted: str = "a number") -> None:
    of_type(types, wanted)(value, place)
    if isinstance(value, int) and abs(value) >= _HIGHEST:
        raise ValueError(f"{place} is out of all bounds")


def count(value, place: str) -> None:
    number(value, place, int, "a whole number")
    if value < 0:
        raise ValueError(f"{place} is {value}, below 0")


def text(value, place: str) -> None:
    of_type(str, "a text")(value, place)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} is no text: {reason(error)}") from error


def finite(value, place: str) -> None:
    number(value, place)
    if not math.isfinite(value):
        raise ValueError(f"{place} is {value}, not a finite number")


def count_below(limit: int):
    """A whole number from 0 on, less than a limit."""

    def check(value, place: str) -> None:
        count(value, place)
        if value >= limit:
            raise ValueError(f"{place} is {value}, not below {limit}")

    return check


def each(check, low: int = 0, high: float = float("inf")):
    """A list whose items pass a check."""

    def check_all(value, place: str) -> None:
        a_list(value, place)
        if not low <= len(value) <= high:
            raise ValueError(f"{place} has a length of {len(value)}")
        for k, item in enumerate(value):
            check(item, f"{place}[{k}]")

    return check_all


def with_keys(optional=(), **checks):
    """An object with these keys, some of which may be left out, and perhaps others."""

    def check(value, place: str) -> None:
        an_object(value, place)
        for key, check_item in checks.items():
            name = f"{place}.{key}" if place else key
            if key in value:
                check_item(value[key], name)
            elif key not in optional:
                raise ValueError(f"{name} is missing")

    return check


def all_of(check, names: str) -> dict:
    return dict.fromkeys(names.split(), check)


def or_none(check):
    """What passes a check, or nothing."""

    def check_it(value, place: str) -> None:
        if value is not None:
            check(value, place)

    return check_it


def table_of(check):
    """An object whose values pass a check, whatever the keys."""

    def check_values(value, place: str) -> None:
        an_object(value, place)
        for key, item in value.items():
            check(item, f"{place}[{key!r:.40}]")

    return check_values


def items(*checks):
    """A list of so many items, each of its own kind."""

    def check_items(value, place: str) -> None:
        each(lambda *_: None, len(checks), len(checks))(value, place)
        for k, (check, item) in enumerate(zip(checks, value, strict=True)):
            check(item, f"{place}[{k}]")

    return check_items


PAIR = each(count, 2, 2)
