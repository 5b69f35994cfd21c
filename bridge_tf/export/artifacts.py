"""What exported files are worth: their accuracy, calibration, size and speed."""

import os
import pathlib
import statistics
import time
from collections.abc import Callable

import numpy as np

from bridge_tf.evaluation.scores import score
from bridge_tf.quiet import quiet_stderr

_BATCH = 100
# Timings of each of two things in turn, and calls of a thing in a timing.
_ROUNDS, _CALLS = 9, 5


def score_tflite(path: pathlib.Path, dataset) -> dict:
    """A row of "artifacts" in report.json, of a .tflite file.

    Args:
        path: of the file.
        dataset: a `Dataset`; every test image counts once, and the temperature is fitted on the
            validation split.

    Returns:
        bytes, and the figures of `bridge_tf.evaluation.score`.
    """
    test, validation = (log_probs_of(path, s.images) for s in (dataset.test, dataset.validation))
    figures = score(test, dataset.test.labels, validation, dataset.validation.labels)
    return {"bytes": path.stat().st_size, **figures}


def log_probs_of(path: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """What a .tflite file says of images: log-probabilities, N×classes, float64."""
    run = _runner(path, "serving_default", os.cpu_count())
    found = [run(images[k : k + _BATCH])["probabilities"] for k in range(0, len(images), _BATCH)]
    # No probability of float32 is below this but 0.
    return np.log(np.maximum(np.concatenate(found).astype("float64"), 1e-45))


def latency_ratio(path: pathlib.Path, base: pathlib.Path, image: np.ndarray) -> float:
    """How long a file takes for an image, over how long the base alone takes, on one thread.

    They are timed in turn, so that a machine that is busy for a while slows both.

    Args:
        path: of a .tflite file, whose serving_default is timed.
        base: of the file whose signature base is timed: that of float32.
        image: H×W×C.
    """
    first, second = _runner(path, "serving_default"), _runner(base, "base")
    ratios = []
    for k in range(_ROUNDS + 1):
        order = (first, second) if k % 2 else (second, first)
        elapsed = {run: _seconds(run, image[None]) for run in order}
        ratios.append(elapsed[first] / elapsed[second])
    return statistics.median(ratios[1:])  # the first warms up


def _seconds(run: Callable, images: np.ndarray) -> float:
    start = time.perf_counter()
    for _ in range(_CALLS):
        run(images)
    return time.perf_counter() - start


def _runner(path: pathlib.Path, signature: str, threads: int | None = 1) -> Callable:
    """A function from images to the signature's outputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(str(path), num_threads=threads)
        run = interpreter.get_signature_runner(signature)
    ((name, details),) = run.get_input_details().items()
    return lambda images: run(**{name: images.astype(details["dtype"])})
