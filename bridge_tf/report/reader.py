"""Reading what an evaluation wrote, and refusing what isn't that."""

import os
import pathlib

from bridge_tf.report.schemas import DETAILS, PLANE, POOLED, REPORT
from bridge_tf.utils.json_files import read_json

_AGAIN = "evaluate the run again"


def read_report(path: str | os.PathLike) -> dict:
    """The content of a report.json that holds all that the contract says; it may hold more.

    Raises:
        InputError: it can't be read or isn't such a report.
    """
    return read_json(pathlib.Path(path), REPORT, "a report", _AGAIN)


def read_pooled(path: str | os.PathLike) -> dict:
    """The content of a report.json of several runs; errors as in `read_report`."""
    return read_json(pathlib.Path(path), POOLED, "a report of several runs", "pool them again")


def read_details(path: pathlib.Path, report: dict) -> dict:
    """The content of figures/data.json, which belongs to `report`.

    Raises:
        InputError: it can't be read, isn't such a file or belongs to another report.
    """
    classes = report["dataset"]["num_classes"]

    def check(content: dict) -> None:
        if len(content["class_names"]) != classes:
            raise ValueError(f"class_names: must be {classes}, not {len(content['class_names'])}")
        curves, lines = (
            [path["curve"] for path in x] for x in (report["curves"], content["lines"])
        )
        if lines != curves:
            raise ValueError(f"its lines are of {lines}, the report's curves of {curves}")

    context = {"classes": classes}
    return read_json(path, DETAILS, "the figures' data", _AGAIN, check, context)


def read_plane(path: pathlib.Path) -> dict:
    """The content of figures/loss_plane_I-J.json.

    Raises:
        InputError: it can't be read or isn't such a file.
    """
    return read_json(path, PLANE, "a loss plane", f"{_AGAIN}, with `loss_plane`", _check_grid)


def _check_grid(plane: dict) -> None:
    for axis in (plane["x"], plane["y"]):
        if axis != sorted(set(axis)):
            raise ValueError("its axes don't rise")
    wanted = [len(plane["x"])] * len(plane["y"])
    for name in ("nll", "accuracy"):
        if [len(row) for row in plane[name]] != wanted:
            raise ValueError(f"{name} isn't of {len(wanted)} rows with {wanted[0]} columns")
