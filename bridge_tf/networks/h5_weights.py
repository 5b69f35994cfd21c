"""Weights in HDF5 files, as Keras 3 and its predecessors write them."""

import pathlib
import re

import h5py
import numpy as np

from bridge_tf.utils.errors import InputError, reason


def read_h5(path) -> tuple[list[tuple[str, list[np.ndarray]]], bool]:
    """Reads a .weights.h5 file of Keras 3, or a legacy .h5 file of weights or a whole model.

    Returns:
        Name and arrays of each layer with weights, trainable ones first, and whether the layers
        are in the order of their model: always in legacy files, else only those of one class.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"`weights={path}`: there is no such file")
    try:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            legacy = any(name.startswith("layer_names") for name in group.attrs)
            layers = _read_legacy(group) if legacy else _read_keras3(file["layers"])
    except Exception as error:  # damaged files raise all sorts, OSError and KeyError too
        raise InputError(
            f"`weights={path}`: can't be read ({reason(error)}); it must be a .weights.h5, a "
            "legacy .h5 or a .keras file"
        ) from error
    if any(name is None for name, _ in layers):
        raise InputError(
            f"`weights={path}`: an older Keras wrote it without the names of its layers; load it "
            "there and save the model as .keras"
        )
    return layers, legacy


def _read_keras3(group: h5py.Group) -> list[tuple[str | None, list[np.ndarray]]]:
    found = {}

    def visit(path, item):
        if re.search(r"(^|/)(?!seed_generator)[^/]+/vars$", path) and len(item):
            arrays = [np.asarray(item[str(i)]) for i in range(len(item))]
            found[path] = item.attrs.get("name"), arrays

    group.visititems(visit)
    # Groups are named after classes and numbered; HDF5 lists conv2d_10 before conv2d_9.
    return [found[path] for path in sorted(found, key=_numbers_by_value)]


def _numbers_by_value(path: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _read_legacy(group: h5py.Group) -> list[tuple[str, list[np.ndarray]]]:
    layers = []
    for name in _names(group, "layer_names"):
        arrays = [np.asarray(group[name][weight]) for weight in _names(group[name], "weight_names")]
        if arrays:
            layers.append((name, arrays))
    return layers


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list in an attribute, or in several numbered ones if it is too long for one."""
    keys = [attribute] if attribute in group.attrs else []
    while (key := f"{attribute}{len(keys)}") in group.attrs:
        keys.append(key)
    return [n.decode() if isinstance(n, bytes) else n for key in keys for n in group.attrs[key]]
