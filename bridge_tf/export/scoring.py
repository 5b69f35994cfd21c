"""Predictions and size of exported files."""

import gzip
import os
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.evaluation.early_exit import ALWAYS
from bridge_tf.evaluation.latency import litert_runner, ratio_of
from bridge_tf.export.early_exit import EarlyExit
from bridge_tf.export.predictor import load_predictor

_BATCH = 100


def sizes(path: pathlib.Path) -> dict[str, int]:
    """A file's bytes, as they are and after gzip, as app stores and servers send them."""
    content = path.read_bytes()
    return {"bytes": len(content), "gzip_bytes": len(gzip.compress(content, mtime=0))}


def log_probs_of(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """The log-probabilities that a .tflite or .onnx file predicts, N×classes, float64."""
    return log_probs_in(outputs_of(path, images))


def early_exit_ratios(path: pathlib.Path, base: pathlib.Path, image: np.ndarray) -> list[float]:
    """The time of early exit for an image that stops, and for one that goes on, relative to the
    base alone, one image H×W×C a call on one thread.

    `path` is a .tflite file as `early_exit.py` reads it; `base` is the float32 file.
    """
    run, ratios = litert_runner(base, "base"), []
    for threshold in (0.0, ALWAYS):
        reader = EarlyExit(path, threshold)
        reader.temperature = 2.0  # any but 1, which the reader would leave out
        ratios.append(ratio_of(reader, run, image))
    return ratios


def outputs_of(path: pathlib.Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a .tflite or .onnx file's serving_default, by name."""
    run: Callable[[np.ndarray], dict[str, np.ndarray]]
    if path.suffix == ".onnx":
        run = load_predictor(path)
    else:
        run = litert_runner(path, "serving_default", os.cpu_count())
    found = [run(images[k : k + _BATCH]) for k in range(0, len(images), _BATCH)]
    return {key: np.concatenate([outputs[key] for outputs in found]) for key in found[0]}


def log_probs_in(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """The logarithms of the probabilities among a file's outputs, N×classes, float64."""
    # The smallest positive float32.
    return np.log(np.maximum(outputs["probabilities"].astype("float64"), 1e-45))
