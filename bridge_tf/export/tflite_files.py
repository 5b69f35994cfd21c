"""The TFLite and ONNX files of an export, written to a folder and compared with the Keras model."""

import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export.onnx_file import write_onnx
from bridge_tf.export.parity import check_parity
from bridge_tf.export.quantization import write_quantized
from bridge_tf.export.signatures import Signatures, signatures, write_saved_model, write_tflite
from bridge_tf.utils.keras_utils import from_plain_config, inner_layers, to_config, with_weights_of


def in_float32(model):
    """`model`, or a copy in float32 if it is of mixed precision.

    TFLite's built-in operations and most servers don't support bfloat16.
    """
    if all(layer.compute_dtype in ("float32", None) for layer in inner_layers(model)):
        return model
    return with_weights_of(model, from_plain_config(_replaced(to_config(model)), model))


def _replaced(config):
    """A copy of a configuration without policies of mixed precision."""
    if isinstance(config, dict):
        return {key: _replaced(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_replaced(item) for item in config)
    return "float32" if config in ("mixed_bfloat16", "mixed_float16") else config


def write_tflite_files(
    ensemble, folder: pathlib.Path, images: np.ndarray, kinds: Sequence[str], io: str, calibration
) -> list[pathlib.Path]:
    """Writes an ensemble's TFLite files to a folder; arguments are as in `export`.

    Returns:
        Their paths: that of float32, then the other kinds in their order.

    Raises:
        ParityError: in float32 a probability differs by more than 1e-4 from the Keras model's.
    """
    write_float32(signatures(ensemble), folder, images)
    quantized = [kind for kind in kinds if kind != "float32"]
    return [folder / "model.tflite", *write_others(ensemble, folder, quantized, io, calibration)]


def write_float32(
    found: Signatures, folder: pathlib.Path, images: np.ndarray, onnx: bool = False
) -> tuple[list[pathlib.Path], float]:
    """Writes saved_model, model.tflite and, with `onnx`, model.onnx.

    Returns:
        The files, and the largest difference of the three from the Keras model.
    """
    saved_model, files = folder / "saved_model", [folder / "model.tflite"]
    write_saved_model(found, saved_model)
    write_tflite(found, _convertible(found, folder), files[0])
    if onnx:
        files.append(folder / "model.onnx")
        write_onnx(_convertible(found, folder), files[1])
    return files, max(check_parity(found, path, images) for path in (saved_model, *files))


def _convertible(found: Signatures, folder: pathlib.Path, io: str = "float32") -> pathlib.Path:
    """A SavedModel in a folder to convert: what `write_float32` wrote, or one for TFLite alone."""
    if found.whole is None and io == "float32":
        return folder / "saved_model"
    saved_model = folder / f"saved_model_{io}"
    if not saved_model.exists():
        write_saved_model(found, saved_model, for_tflite=True)
    return saved_model


def write_others(
    ensemble,
    folder: pathlib.Path,
    kinds: Sequence[str],
    io: str,
    images: np.ndarray,
    sets: PredictionSets | None = None,
) -> list[pathlib.Path]:
    """Writes quantized files to the folder of `write_float32`; their paths."""
    paths = {kind: folder / f"model.{kind}.tflite" for kind in kinds}
    if not paths:
        return []
    found = signatures(ensemble, io, sets)
    saved_model = _convertible(found, folder, io)
    for kind, path in paths.items():
        write_quantized(found, saved_model, path, kind, images)
    return list(paths.values())


def rewrite_with(
    temperature: float,
    sets: PredictionSets | None,
    ensemble,
    path: pathlib.Path,
    io: str,
    images: np.ndarray,
) -> None:
    """Writes a file of `write_others` again, with another temperature and prediction sets."""
    kind = path.name.split(".")[1]
    ensemble = ensemble.calibrated(temperature, ensemble.base_temperature)
    found = signatures(ensemble, io, sets)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        saved_model = pathlib.Path(folder) / "saved_model"
        write_saved_model(found, saved_model)
        write_quantized(found, saved_model, path, kind, images)
