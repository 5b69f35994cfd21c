"""Histories of trainings, beside the TensorBoard logs.

logs/modes/0/history.json, logs/curves/0-1/history.json, … are lists of epochs in order, each

    {"epoch": 1, "loss": 2.1, "accuracy": 0.4, "learning_rate": 0.1, "images_per_second": 6723.0}
"""

import json
import math
import os
import pathlib
import re

from bridge_tf.utils.files import replacing

History = dict[str, list[tuple[int, float]]]

_FILE = "history.json"
_STAGES = ("modes", "curves", "bridges", "baselines")
# The name of a mode, a curve or a baseline.
_NUMBERS = "[0-9]+(-[0-9]+)?|[a-z_]+(-[0-9]+)?"


def write_epochs(folder: pathlib.Path, epochs: list[dict]) -> None:
    """Writes the history of a training to its folder, which is created if needed."""
    with replacing(folder / _FILE) as partial:
        lines = ",\n".join(json.dumps(epoch) for epoch in epochs)
        partial.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_epochs(folder: pathlib.Path) -> list[dict]:
    """The epochs of a training; empty if the file is missing, unreadable or a link."""
    path = folder / _FILE
    if folder.is_symlink() or path.is_symlink() or not path.is_file():
        return []
    try:
        epochs = json.loads(path.read_text(encoding="utf-8"))
        return epochs if all(map(_is_epoch, epochs)) else []
    except Exception:  # a damaged file loses only its own points
        return []


def _is_epoch(epoch: dict) -> bool:
    return isinstance(epoch["epoch"], int) and all(map(math.isfinite, epoch.values()))


def read_histories(logs_folder: str | os.PathLike) -> dict[str, History]:
    """The histories in a folder `logs`: points (epoch from 1, value) by training and quantity.

    Keys are as in ["modes/0"]["loss"]. Unreadable files and links are left out.
    """
    histories = {}
    for stage in _STAGES:
        place = pathlib.Path(logs_folder) / stage
        folders = [] if place.is_symlink() else place.glob("*")
        folders = [path for path in folders if re.fullmatch(_NUMBERS, path.name)]
        for folder in sorted(folders, key=lambda path: (_numbers(path), path.name)):
            history: History = {}
            for epoch in read_epochs(folder):
                for tag in sorted(epoch.keys() - {"epoch"}):
                    history.setdefault(tag, []).append((epoch["epoch"], epoch[tag]))
            if history:
                histories[f"{stage}/{folder.name}"] = history
    return histories


def _numbers(path: pathlib.Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]
