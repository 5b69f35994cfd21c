"""Arrays and models that Python gives to a run, as files in its work directory."""

import contextlib
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import replacing

DATASET, MODEL = "dataset.npz", "model.keras"
_FORMS = (
    "give text as `dataset` of the command, ((x_train, y_train), (x_test, y_test)), the three "
    "splits in this form with validation second, or a dict of x_train, y_train, x_test, y_test"
)
_PARTS = {2: ("train", "test"), 3: ("train", "val", "test")}


def as_settings(dataset: Any, model: Any, workdir: pathlib.Path) -> dict[str, Any]:
    """The settings `dataset` and `model`, for objects the places where `written` writes them."""
    if not isinstance(dataset, str):
        dataset = f"npz:{os.path.abspath(workdir / DATASET)}"
    if hasattr(model, "get_config"):
        model = os.path.abspath(workdir / MODEL)
    return {"dataset": dataset, "model": model}


@contextlib.contextmanager
def written_to(workdir: pathlib.Path, dataset: Any, model: Any) -> Iterator[None]:
    """Writes objects to `workdir` for the block; texts are left alone.

    What is there already must be equal. If the block raises an error before a run has begun there,
    what was written is removed.

    Raises:
        InputError: an object is of no known form, or another than that of the run.
    """
    arrays = None if isinstance(dataset, str) else arrays_of(dataset)
    written: list[pathlib.Path] = []
    is_new = not workdir.exists()
    try:
        if arrays is not None:
            path = workdir / DATASET
            if path.exists():
                _check_arrays(path, arrays)
            else:
                written.append(path)
                with replacing(path) as partial, open(partial, "wb") as file:
                    np.savez(file, **arrays)
        if hasattr(model, "get_config"):
            path = workdir / MODEL
            if path.exists():
                _check_model(path, model)
            else:
                written.append(path)
                _save(model, path)
        yield
    except BaseException:
        if not (workdir / "manifest.json").exists():
            for path in written:
                path.unlink(missing_ok=True)
            if is_new and workdir.is_dir() and not any(workdir.iterdir()):
                workdir.rmdir()
        raise


def arrays_of(dataset: Any) -> dict[str, np.ndarray]:
    """The arrays x_train, y_train, … of a dict, of pairs, of `Split`s or of a `Dataset`."""
    if all(hasattr(dataset, name) for name in ("train", "validation", "test")):
        dataset = dataset.train, dataset.validation, dataset.test
    if isinstance(dataset, Mapping):
        return {str(name): np.asarray(array) for name, array in dataset.items()}
    if not isinstance(dataset, tuple | list) or len(dataset) not in _PARTS:
        raise InputError(f"`dataset`: is of no known form ({type(dataset).__name__}); {_FORMS}")
    arrays = {}
    for part, pair in zip(_PARTS[len(dataset)], dataset, strict=True):
        if hasattr(pair, "images") and hasattr(pair, "labels"):
            pair = pair.images, pair.labels
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(f"`dataset`: its {part} part isn't (images, labels); {_FORMS}")
        arrays[f"x_{part}"], arrays[f"y_{part}"] = map(np.asarray, pair)
    return arrays


def _check_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Raises an InputError unless a file holds these arrays."""
    same = False
    with (
        contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as stored,
    ):
        same = {*stored} == {*arrays} and all(
            stored[name].dtype == array.dtype and np.array_equal(stored[name], array)
            for name, array in arrays.items()
        )
    if not same:
        raise InputError(
            f"`dataset`: isn't what it was when the run in {path.parent} began; give that, or use "
            "another `workdir`"
        )


def _save(model: Any, path: pathlib.Path) -> None:
    from bridge_tf.networks.saving import write_model

    with replacing(path) as partial:
        write_model(model, partial)


def _check_model(path: pathlib.Path, model: Any) -> None:
    """Raises an InputError unless a file holds a model of the same architecture."""
    from bridge_tf.networks.saving import is_whole

    with tempfile.TemporaryDirectory() as folder:
        given = pathlib.Path(folder) / MODEL
        _save(model, given)
        same = is_whole(path) and _architecture(path) == _architecture(given)
    if not same:
        raise InputError(
            f"`model`: is of another architecture than the one in {path}, with which the run "
            "began; give that, or use another `workdir`"
        )


def _architecture(path: pathlib.Path) -> Any:
    """The configuration in a .keras file, with layers numbered instead of named.

    Keras numbers layers without a name through a whole process.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config.pop("compile_config", None)
    names: dict[str, str] = {}
    _collect_names(config, names)
    return _renamed(config, names)


def _collect_names(value: Any, names: dict[str, str]) -> None:
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        names.setdefault(value["name"], f"layer {len(names)}")
    items = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for item in items:
            _collect_names(item, names)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
