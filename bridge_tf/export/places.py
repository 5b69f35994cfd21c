"""Where an export lands."""

import os
import pathlib
import shutil

from bridge_tf.errors import InputError
from bridge_tf.files import check_writable


def check_export(export_dir: str | os.PathLike, name: str) -> pathlib.Path:
    """`export_dir` as a path, once it is known that a model called `name` can land there.

    Raises:
        InputError: it can't be written, or something else has the model's place.
    """
    export_dir = check_writable("--export_dir", export_dir)
    places = ((export_dir / name, "folder"), (export_dir / f"{name}.tflite", "file"))
    for place, kind in places:
        if place.exists() and place.is_dir() != (kind == "folder"):
            raise InputError(
                f"--export_dir: {place} is no {kind}; move it or choose another --export_name"
            )
    return export_dir


def publish(
    staging: pathlib.Path, export_dir: pathlib.Path, name: str
) -> tuple[pathlib.Path, pathlib.Path]:
    """Moves what `staging` holds to its final place, the SavedModel under the next version.

    Returns:
        The places of the SavedModel and of the TFLite file. Where something fails, no SavedModel
        stays without its TFLite file.
    """
    model_dir, tflite = export_dir / name, export_dir / f"{name}.tflite"
    model_dir.mkdir(exist_ok=True)
    versions = [int(path.name) for path in model_dir.iterdir() if path.name.isdigit()]
    target = model_dir / str(max(versions, default=0) + 1)
    try:
        os.replace(staging / "saved_model", target)
        if (staging / "labels.txt").exists():
            os.replace(staging / "labels.txt", export_dir / f"{name}.labels.txt")
        os.replace(staging / "model.tflite", tflite)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        if not any(model_dir.iterdir()):
            model_dir.rmdir()
        raise
    return target, tflite
