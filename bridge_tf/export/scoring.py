"""Predictions and size of exported files."""

import gzip
import os
import pathlib

import numpy as np

from bridge_tf.evaluation.latency import litert_runner

_BATCH = 100


def sizes(path: pathlib.Path) -> dict[str, int]:
    """A file's bytes, as they are and after gzip, as app stores and servers send them."""
    content = path.read_bytes()
    return {"bytes": len(content), "gzip_bytes": len(gzip.compress(content, mtime=0))}


def log_probs_of(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """The log-probabilities that a .tflite file predicts, N×classes, float64."""
    run = litert_runner(path, "serving_default", os.cpu_count())
    found = [run(images[k : k + _BATCH])["probabilities"] for k in range(0, len(images), _BATCH)]
    # The smallest positive float32.
    return np.log(np.maximum(np.concatenate(found).astype("float64"), 1e-45))
