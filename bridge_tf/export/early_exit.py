"""Early exit and cascades with an exported .tflite file, as an application uses it.

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

    Of a cascade's file, by the first stage where that is confident, and by the second otherwise.

    Args:
        path: of an exported .tflite file.
        threshold: the confidence, in [0, 1], below which the whole ensemble predicts. Default: the
            one in NAME.early_exit.json, chosen on validation images for `early_exit_budget`, or for
            a cascade's `average_cost`.

    Raises:
        ValueError: no threshold was given, and there is none beside the file; or the file has no
            signatures to run one after the other.
    """

    def __init__(self, path: str | os.PathLike, threshold: float | None = None, num_threads=1):
        path = pathlib.Path(path)
        stored = _stored(path)
        if threshold is None and "threshold" not in stored:
            raise ValueError(f"{path.with_suffix(_ENDING)} isn't there: give a threshold in [0, 1]")
        self.threshold = stored["threshold"] if threshold is None else threshold
        self.temperature = stored.get("temperature", 1.0)
        self._base_temperature = stored.get("base_temperature", 1.0)
        interpreter = Interpreter(str(path), num_threads=num_threads)
        there = interpreter.get_signature_list()
        # Of a cascade; of bridges that continue from a base's features; of Type II, whose whole
        # ensemble is run.
        pairs = (("first", "second"), ("taps", "bridges"), ("base", "serving_default"))
        pair = next((pair for pair in pairs if {*pair} <= {*there}), None)
        if pair is None:
            raise ValueError(f"{path} has no base that runs alone. Received: {[*there]}")
        self._stages = pair
        self._first, self._then = map(interpreter.get_signature_runner, pair)
        # Looked up once: it takes as long as a small network's forward pass.
        ((self._input, details),) = self._first.get_input_details().items()
        self._dtype, self._reads = details["dtype"], [*self._then.get_input_details()]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Classifies images.

        Args:
            images: N×H×W×C, raw pixels 0…255, N at least 1.

        Returns:
            probabilities: N×classes.
            whole: N, whether the whole ensemble predicted them, or a cascade's second stage.

        Raises:
            ValueError: there are no images, for which some files end the process, or pixels are
                NaN.
        """
        images = np.asarray(images)
        if not len(images) or np.isnan(images).any():
            raise ValueError(
                f"images must be at least one, of numbers. Received: shape={images.shape}, "
                f"{np.isnan(images).sum()} NaN"
            )
        inputs = {self._input: images.astype(self._dtype, copy=False)}
        first = self._first(**inputs)
        probabilities = first["probabilities"]
        if self._stages[0] == "taps":
            probabilities = probabilities[:, 0]
        elif self._stages[0] == "base":  # which is calibrated
            probabilities = _scaled(probabilities, 1 / self._base_temperature)
        whole = probabilities.max(axis=1) < self.threshold
        number = np.count_nonzero(whole)
        if number < len(whole):
            probabilities = _scaled(probabilities, self.temperature)
        if number:
            rows = whole if number < len(whole) else slice(None)  # a slice copies nothing
            given = {**first, **inputs}
            then = self._then(**{name: given[name][rows] for name in self._reads})
            probabilities[rows] = then["probabilities"]
        return {"probabilities": probabilities, "whole": whole}


def _scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The softmax of log p / T, float32; `probabilities` as they are if T is 1."""
    if temperature == 1:
        return probabilities
    largest = probabilities.max(axis=1, keepdims=True)
    powers = (np.maximum(probabilities, 1e-38) / largest) ** np.float32(1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def _stored(path: pathlib.Path) -> dict[str, float]:
    # NAME.early_exit.json is that of NAME.tflite and of NAME.int8.tflite.
    parts = path.name.split(".")[:-1]
    for k in range(len(parts), 0, -1):
        beside = path.with_name(".".join(parts[:k]) + _ENDING)
        if beside.exists():
            return json.loads(beside.read_text(encoding="utf-8"))
    return {}
