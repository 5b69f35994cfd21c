"""The places of an export's files, and moving a whole export there."""

import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge_tf.config import NAME
from bridge_tf.config.fields import QUANTIZED
from bridge_tf.export.compression.settings import COMPRESSED_NAMES
from bridge_tf.export.labels import SINGLE_KINDS
from bridge_tf.export.serving import BATCHING, MODELS, replaceable
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_writable, folder_to_disk, sha256, write_json
from bridge_tf.utils.locks import locked
from bridge_tf.utils.paths import read_text

_STAGING = ".bridge_tf-export-"
# In a version's folder: the source of the export, and the digest of every file.
_RECORD = "assets.extra/export.json"
# Files beside the folder of a model's versions: names while staged, and endings after NAME.
_BESIDE = {
    "model.tflite": ".tflite",
    **{f"model.{kind}.tflite": f".{kind}.tflite" for kind in QUANTIZED},
    # Of these, the variants for runtimes of one signature.
    **{f"model.{kind}.tflite": f".{kind}.tflite" for kind in SINGLE_KINDS},
    "model.onnx": ".onnx",
    # Compressed models of an export: the next export removes them.
    **{f"model.{name}.tflite": f".{name}.tflite" for name in COMPRESSED_NAMES},
    "labels.txt": ".labels.txt",
    "early_exit.json": ".early_exit.json",
    "metadata.json": ".metadata.json",
    "card.md": ".md",
}
# In a staging folder that holds a whole export: its name and version.
_MOVES = "moves.json"


def check_export(export_dir: str | os.PathLike, name: str) -> pathlib.Path:
    """`export_dir` as a path, after a check that a model called `name` can be written there.

    Raises:
        InputError: it can't be written, or something else has the model's place.
    """
    export_dir = check_writable("export_dir", export_dir)
    places = [(_beside(export_dir / name, item), "file") for item in _BESIDE]
    for place, kind in ((export_dir / name, "folder"), *places):
        right = place.is_dir() if kind == "folder" else place.is_file()
        if os.path.lexists(place) and not right:
            raise InputError(
                f"`export_dir`: {place} is no {kind}; move it or choose another `export_name`"
            )
    if (export_dir / name).is_dir():
        check_writable("export_dir", export_dir / name)
    return export_dir


@contextmanager
def staging(export_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """A hidden folder in `export_dir` to write an export to, which `publish` moves to its place.

    One process at a time has one; others wait. What a killed process left is finished if it was
    being published, else removed.
    """
    export_dir.mkdir(parents=True, exist_ok=True)
    with locked(export_dir, "export_dir", wait=True):
        finish_exports(export_dir)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=_STAGING, dir=export_dir))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def finish_exports(export_dir: str | os.PathLike) -> None:
    """Finishes exports whose process was killed while publishing, and removes other remains."""
    export_dir = pathlib.Path(export_dir)
    if any(export_dir.glob(f"{_STAGING}*")):
        with locked(export_dir, "export_dir", wait=True):
            for left in export_dir.glob(f"{_STAGING}*"):
                try:
                    _finish(left)
                except (OSError, ValueError, KeyError, TypeError):
                    shutil.rmtree(left, ignore_errors=True)


def publish(
    folder: pathlib.Path, name: str, source: str, settings: dict | None = None
) -> tuple[pathlib.Path, pathlib.Path]:
    """Moves the files of a staging folder to their places, the SavedModel as the next version.

    Each file and the whole SavedModel appear in one rename. If the process is killed after the
    first, the next `staging` finishes the moves. Other files of an earlier export are removed.

    Args:
        folder: from `staging`, with saved_model/, model.tflite, perhaps further files beside it,
            and a server's configurations, which aren't in the record, since users may change them.
        source: names what was exported, for `find_export`.
        settings: of the export, as plain data.

    Returns:
        The places of the SavedModel and of the TFLite file.
    """
    model_dir = folder.parent / name
    versions = _versions(model_dir)
    saved_model = folder / "saved_model"
    files = [path for path in saved_model.rglob("*") if path.is_file()]
    record = {
        "source": source,
        "settings": settings or {},
        "files": {path.relative_to(saved_model).as_posix(): sha256(path) for path in files},
        "beside": {name: sha256(folder / name) for name in _BESIDE if (folder / name).exists()},
    }
    (saved_model / _RECORD).parent.mkdir(exist_ok=True)
    write_json(saved_model / _RECORD, record)
    folder_to_disk(folder)
    write_json(folder / _MOVES, {"name": name, "version": max(versions, default=0) + 1})
    return _finish(folder)


def models_in(export_dir: pathlib.Path) -> list[str]:
    """The names of the models that have a version in `export_dir`, in order."""
    folders = [path for path in export_dir.iterdir() if path.is_dir()]
    return sorted(path.name for path in folders if any(path.glob("[0-9]*/saved_model.pb")))


def find_export(
    export_dir: str | os.PathLike,
    name: str,
    source: str,
    accept: Callable[[dict], bool] = lambda settings: True,
) -> list[pathlib.Path]:
    """The SavedModel, the TFLite files, float32 first, and the ONNX file exported from `source`.

    Empty if there are none with settings that `accept` takes, or a file has changed since.
    """
    model_dir = pathlib.Path(export_dir).resolve() / name
    for version in sorted(_versions(model_dir), reverse=True):
        folder = model_dir / str(version)
        try:
            record = json.loads(read_text(folder / _RECORD))
            digests = {folder / path: digest for path, digest in record["files"].items()}
            # Another run may have exported under the same name.
            digests |= {_beside(model_dir, path): x for path, x in record["beside"].items()}
            digests.pop(_beside(model_dir, "card.md"), None)  # people may change it
            whole = all(sha256(path) == digest for path, digest in digests.items())
            if record["source"] == source and accept(record["settings"]) and whole:
                models = [path for path in _BESIDE if path.endswith((".tflite", ".onnx"))]
                return [folder, *(_beside(model_dir, x) for x in models if x in record["beside"])]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return []


def _beside(model_dir: pathlib.Path, name: str) -> pathlib.Path:
    """The place of a file of `_BESIDE`."""
    return model_dir.with_name(model_dir.name + _BESIDE[name])


def _versions(model_dir: pathlib.Path) -> list[int]:
    return [int(path.name) for path in model_dir.glob("*") if re.fullmatch("[0-9]+", path.name)]


def _finish(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Makes the remaining moves of a staging folder, and removes it."""
    moves = json.loads(read_text(folder / _MOVES))
    name, version = str(moves["name"]), int(moves["version"])
    if not re.fullmatch(NAME, name) or version < 1:
        raise ValueError(f"no place for an export: {moves}")
    model_dir = folder.parent / name
    model_dir.mkdir(exist_ok=True)
    saved_model, tflite = model_dir / str(version), _beside(model_dir, "model.tflite")
    moves = [("saved_model", saved_model)]
    moves += [(name, _beside(model_dir, name)) for name in reversed(_BESIDE)]  # .tflite last
    # Last, so that a server finds the models that they list.
    shared = [(name, folder.parent / name) for name in (MODELS, BATCHING)]
    moves += [(name, target) for name, target in shared if replaceable(target)]
    for staged, target in moves:
        if (folder / staged).exists():
            os.replace(folder / staged, target)
    record = json.loads(read_text(saved_model / _RECORD))
    for left in _BESIDE.keys() - record["beside"].keys():
        _beside(model_dir, left).unlink(missing_ok=True)  # of an earlier version
    shutil.rmtree(folder)
    return saved_model, tflite
