"""Predictions and size of exported files."""

import gzip
import os
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.evaluation.latency import litert_runner
from bridge_tf.export.predictor import load_predictor

_BATCH = 100


def sizes(path: pathlib.Path) -> dict[str, int]:
    """A file's bytes, as they are and after gzip, as app stores and servers send them."""
    content = path.read_bytes()
    return {"bytes": len(content), "gzip_bytes": len(gzip.compress(content, mtime=0))}


def log_probs_of(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """The log-probabilities that a .tflite or .onnx file predicts, N×classes, float64."""
    return log_probs_in(outputs_of(path, images))


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
