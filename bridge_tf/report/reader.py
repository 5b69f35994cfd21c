"""Reading report.json, and refusing what isn't a report."""

import json
import os
import pathlib

from bridge_tf.errors import InputError, reason

SCHEMA = 1
# No count of images, parameters or FLOPs is higher, and float() takes all that are lower.
_HIGHEST = 2**63


def read_report(path: str | os.PathLike) -> dict:
    """The content of a report.json that holds all that the contract says; it may hold more.

    Raises:
        InputError: it can't be read or isn't such a report.
    """
    path = pathlib.Path(path)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        _object(report, "")
        if "schema" in report and report["schema"] != SCHEMA:
            raise ValueError(f"its schema is {report['schema']!r:.50}, not {SCHEMA}")
        _REPORT(report, "")
    # RecursionError: nested a thousand times.
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} can't be read as a report ({reason(error)}); run bin/evaluate "
            f"--workdir={path.parent}"
        ) from error
    return report


# What follows are checks: functions of a value and its place, which raise a ValueError.


def _of_type(types: type | tuple, wanted: str):
    def check(value, place: str) -> None:
        # To Python, True is a whole number.
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            raise ValueError(f"{place or 'all of it'} is {_short(value)}, not {wanted}")

    return check


def _short(value) -> str:
    return {dict: "an object", list: "a list"}.get(type(value)) or f"{value!r:.40}"


_object = _of_type(dict, "an object")
_list = _of_type(list, "a list")
_flag = _of_type(bool, "true or false")


def _number(value, place: str, types=(int, float), wanted: str = "a number") -> None:
    _of_type(types, wanted)(value, place)
    if isinstance(value, int) and abs(value) >= _HIGHEST:
        raise ValueError(f"{place} is out of all bounds")


def _count(value, place: str) -> None:
    _number(value, place, int, "a whole number")
    if value < 0:
        raise ValueError(f"{place} is {value}, below 0")


def _text(value, place: str) -> None:
    _of_type(str, "a text")(value, place)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} is no text: {reason(error)}") from error


def _number_or_none(value, place: str) -> None:
    if value is not None:
        _number(value, place)


def _each(check, low: int = 0, high: float = float("inf")):
    """A list whose items pass a check."""

    def check_all(value, place: str) -> None:
        _list(value, place)
        if not low <= len(value) <= high:
            raise ValueError(f"{place} has a length of {len(value)}")
        for k, item in enumerate(value):
            check(item, f"{place}[{k}]")

    return check_all


def _with(optional=(), **checks):
    """An object with these keys, some of which may be left out, and perhaps others."""

    def check(value, place: str) -> None:
        _object(value, place)
        for key, check_item in checks.items():
            name = f"{place}.{key}" if place else key
            if key in value:
                check_item(value[key], name)
            elif key not in optional:
                raise ValueError(f"{name} is missing")

    return check


def _all(check, names: str) -> dict:
    return dict.fromkeys(names.split(), check)


_PAIR = _each(_count, 2, 2)
_REPORT = _with(
    optional=("warnings",),
    schema=_count,
    warnings=_each(_text),
    dataset=_with(
        name=_text,
        **_all(_count, "num_train num_validation num_test num_classes"),
    ),
    base=_with(**_all(_count, "params flops")),
    ensembles=_each(
        _with(
            **_all(_text, "name method"),
            size=_count,
            **_all(_number, "relative_flops relative_params accuracy nll brier ece temperature"),
            **_all(_number, "calibrated_nll calibrated_brier calibrated_ece"),
            dee=_number_or_none,
            dee_extrapolated=_flag,
        ),
        low=1,
    ),
    curves=_each(_with(curve=_PAIR, points=_each(_with(**_all(_number, "r accuracy nll"))))),
    bridges=_each(
        _with(
            curve=_PAIR,
            type=_count,
            taps=_each(_text),
            **_all(_number, "r width relative_flops relative_params kl kl_base agreement"),
        )
    ),
)
