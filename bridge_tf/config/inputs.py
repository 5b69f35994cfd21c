"""Files and folders that settings name, checked before slow imports."""

import os
import pathlib

from bridge_tf.config.config import Config
from bridge_tf.utils.archives import TIMES_OF_ARRAYS, check_archive
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.paths import check_file, check_folder, check_tree, is_there

# The folders of a folder of images, in any case of letters, and the splits they are.
SPLIT_FOLDERS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def check_networks(config: Config) -> None:
    """Checks the files of networks that the settings name.

    Raises:
        InputError: one isn't there, can't be read, or is none; the message names the setting.
    """
    for path in config.modes:
        check_file(f"`modes={path}`", path, "name a .keras file")
    for path in config.modes:
        check_archive(f"`modes={path}`", path, "it is no .keras file, or damaged: save it again")
    if config.model.endswith(".keras"):
        check_file(f"`model={config.model}`", config.model, "name a .keras file")
    weights = f"`weights={config.weights}`"
    if config.weights and is_there(weights, config.weights, "name a file of weights"):
        check_file(weights, config.weights, "name a file of weights")


def check_sources(config: Config) -> None:
    """Checks the files of the data sets that the settings name; errors as in `check_source`."""
    for name in ("dataset", "ood_dataset"):
        check_source(name, getattr(config, name), config.data_dir)


def check_source(name: str, spec: str, data_dir: str = "") -> None:
    """Checks the files of a data set, as `dataset` names them; other errors are for its reader.

    Raises:
        InputError: they can't be read, or are none.
    """
    kind, _, path = spec.partition(":")
    given = f"`{name}={spec}`"
    if kind == "folder" and path:
        _check_folder(given, path)
    elif kind == "npz" and path:
        check_file(given, path, "name a .npz file")
        if os.path.getsize(path):
            check_archive(given, path, "save it as .npz with numpy.savez", TIMES_OF_ARRAYS)
    elif kind == "tfds" and data_dir:
        given = f"`data_dir={data_dir}`"
        check_folder(given, data_dir, "name a folder of prepared data sets")
        prepared = pathlib.Path(data_dir) / path.partition(":")[0]
        if prepared.is_dir():
            check_tree(given, prepared, "remove it, or prepare the data set again")


def _check_folder(given: str, path: str) -> None:
    inside = check_folder(given, path, "name a folder of train/CLASS/*.png|jpg")
    splits = [entry for entry in inside if entry.name.casefold() in SPLIT_FOLDERS]
    for entry in splits:
        is_there(f"{given}: {entry.path}", entry.path, "make it a folder of images")
        if not entry.is_dir():
            raise InputError(f"{given}: {entry.path} is no folder; it must hold CLASS/*.png|jpg")
    classes = [entry for entry in inside if entry.is_dir() and not entry.name.startswith(".")]
    for entry in splits or classes:
        check_tree(given, entry.path, "remove it, or replace it by an image")
