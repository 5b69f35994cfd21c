"""Reading what figures are drawn from, and refusing what isn't that."""

import pathlib

from bridge_tf.report.checks import (
    PAIR,
    all_of,
    count,
    count_below,
    each,
    finite,
    items,
    number,
    of_type,
    or_none,
    table_of,
    text,
    with_keys,
)
from bridge_tf.report.reader import read_checked


def read_details(path: pathlib.Path, report: dict) -> dict:
    """The content of figures/data.json.

    Args:
        report: the content of the report.json that it belongs to.

    Raises:
        InputError: it can't be read, isn't such a file or belongs to another report.
    """

    def check(content, place: str) -> None:
        _details(report["dataset"]["num_classes"])(content, place)
        curves, lines = (
            [path["curve"] for path in x] for x in (report["curves"], content["lines"])
        )
        if lines != curves:
            raise ValueError(f"its lines are of {lines}, the report's curves of {curves}")

    return read_checked(path, "the figures' data", check, "evaluate the run again")


def read_plane(path: pathlib.Path) -> dict:
    """The content of figures/loss_plane_I-J.json: what `measure_plane` returns.

    Raises:
        InputError: it can't be read or isn't such a file.
    """
    return read_checked(path, "a loss plane", _plane, "evaluate the run again, with `loss_plane`")


def _details(classes: int):
    """A check of data whose images are of so many classes."""
    one_class = count_below(classes)
    tops = each(items(one_class, number))
    shown = with_keys(index=count, label=one_class, base=tops, ensemble=tops, png=text)
    kind = with_keys(number=count, shown=each(shown))
    point = with_keys(r=number, **all_of(or_none(number), "accuracy nll"))
    bins = each(with_keys(**all_of(count, "bin images"), **all_of(number, "confidence accuracy")))
    cells = each(items(one_class, one_class, count))
    return with_keys(
        schema=count,
        # As the data set has them, be they text or not.
        class_names=each(of_type(str, "a text"), classes, classes),
        lines=each(with_keys(curve=PAIR, points=each(point, low=1))),
        reliability=each(with_keys(name=text, before=bins, after=bins)),
        confusions=each(with_keys(name=text, cells=cells)),
        disagreements=or_none(
            with_keys(
                **all_of(text, "base ensemble"),
                images=count,
                **all_of(kind, "gained lost neither"),
            )
        ),
        histories=table_of(table_of(each(items(count, number)))),
        measured_on=with_keys(
            **all_of(text, "processor system python keras tensorflow"),
            cores=or_none(count),
            accelerators=each(text),
        ),
    )


_POINT = items(finite, finite)
_GRID = each(each(or_none(number)))
_PLANE = with_keys(
    curve=PAIR,
    **all_of(each(finite, low=3), "x y"),
    **all_of(_GRID, "nll accuracy"),
    points=with_keys(**all_of(_POINT, "start end control")),
    path=each(with_keys(**all_of(finite, "r x y")), low=1),
    images=count,
    **all_of(finite, "distance out_of_plane"),
)


def _plane(content, place: str) -> None:
    _PLANE(content, place)
    for axis in (content["x"], content["y"]):
        if axis != sorted(set(axis)):
            raise ValueError("its axes don't rise")
    wanted = [len(content["x"])] * len(content["y"])
    for name in ("nll", "accuracy"):
        if [len(row) for row in content[name]] != wanted:
            raise ValueError(f"{name} isn't of {len(wanted)} rows with {wanted[0]} columns")
