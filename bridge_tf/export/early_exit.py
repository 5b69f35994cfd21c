"""Early exit with an exported .tflite file, as an application uses it.

This file needs only NumPy and LiteRT, no TensorFlow, Keras or bridge_tf: copy it, or translate it.

    model = EarlyExit("digits.tflite")
    outputs = model(images)
    outputs["probabilities"].argmax(axis=1)
"""

import json
import os
import pathlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter

_ENDING = ".early_exit.json"


class EarlyExit:
    """Predicts by the base where it is confident, and by the whole ensemble otherwise.

    Args:
        path: of an exported .tflite file.
        threshold: the confidence, in [0, 1], below which the whole ensemble predicts. Default: the
            one in NAME.early_exit.json, chosen on validation images for `early_exit_budget`.

    Raises:
        ValueError: no threshold was given, and there is none beside the file.
    """

    def __init__(self, path: str | os.PathLike, threshold: float | None = None, num_threads=1):
        path = pathlib.Path(path)
        self.threshold = _stored_threshold(path) if threshold is None else threshold
        interpreter = Interpreter(str(path), num_threads=num_threads)
        # Where the base is the only mode, bridges continue from its features.
        self._continues = "bridges" in interpreter.get_signature_list()
        first, then = ("taps", "bridges") if self._continues else ("base", "serving_default")
        self._first = interpreter.get_signature_runner(first)
        self._then = interpreter.get_signature_runner(then)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Classifies images.

        Args:
            images: N×H×W×C, raw pixels 0…255, N at least 1.

        Returns:
            probabilities: N×classes.
            whole: N, whether the whole ensemble predicted them.
        """
        ((name, details),) = self._first.get_input_details().items()
        inputs = {name: np.asarray(images).astype(details["dtype"])}
        first = self._first(**inputs)
        probabilities = first["probabilities"]
        if self._continues:
            probabilities = probabilities[:, 0]
        whole = probabilities.max(axis=1) < self.threshold
        if whole.any():
            given = first if self._continues else inputs
            then = self._then(**{key: value[whole] for key, value in given.items()})
            probabilities = probabilities.copy()
            probabilities[whole] = then["probabilities"]
        return {"probabilities": probabilities, "whole": whole}


def _stored_threshold(path: pathlib.Path) -> float:
    # NAME.early_exit.json is that of NAME.tflite and of NAME.int8.tflite.
    parts = path.name.split(".")[:-1]
    for k in range(len(parts), 0, -1):
        beside = path.with_name(".".join(parts[:k]) + _ENDING)
        if beside.exists():
            return float(json.loads(beside.read_text(encoding="utf-8"))["threshold"])
    raise ValueError(f"{path.with_suffix(_ENDING)} isn't there: give a threshold in [0, 1]")
