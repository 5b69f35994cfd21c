"""Exported files as models to calibrate."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.cascade import Cascade
from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export.parity import open_signatures
from bridge_tf.export.predictor import Predictor, load_predictor, newest_version
from bridge_tf.export.signatures import FIRST, SECOND
from bridge_tf.runs.cascade_recalibration import CascadeStages
from bridge_tf.utils.errors import InputError

_BATCH = 100
# The smallest positive float32.
_TINY = 1e-45


def early_exit_beside(path: pathlib.Path) -> dict:
    """The content of early_exit.json of a .tflite file or a SavedModel; {} if there is none."""
    if path.is_dir():
        found = newest_version(path) / "assets.extra" / "early_exit.json"
    else:
        found = path.with_name(f"{path.name.partition('.')[0]}.early_exit.json")
    return json.loads(found.read_text(encoding="utf-8")) if found.exists() else {}


def sets_in(described: dict) -> PredictionSets | None:
    """The prediction sets inside a file, by what `description_of` says of it."""
    return PredictionSets(**described["prediction_set"]) if "prediction_set" in described else None


def stages_in(path: pathlib.Path, described: dict) -> CascadeStages:
    """The stages of an exported cascade; InputError if early_exit.json lacks what they cost."""
    temperatures, beside = described["temperatures"], early_exit_beside(path)
    if "flops" not in beside:
        raise InputError(
            f"`model`: {path} has no early_exit.json that tells what its stages cost; export it "
            "again, or name the run's folder, and the row as `ensemble`"
        )
    call = open_signatures(newest_version(path) if path.is_dir() else path)

    def of_batch(images: np.ndarray) -> list[np.ndarray]:
        given = {"image": np.asarray(images, "float32")}
        first, base = call(FIRST, given), call("base", given)
        members = {"members": first["members"]} if "members" in first else {}
        found = base, first, call(SECOND, {**given, **members})
        return [outputs["probabilities"] for outputs in found]

    def predict(images: np.ndarray) -> list[np.ndarray]:
        parts = [of_batch(images[k : k + _BATCH]) for k in range(0, len(images), _BATCH)]
        names = "base", FIRST, SECOND
        return [
            without_temperature(np.concatenate(found), temperatures[name])
            for found, name in zip(zip(*parts, strict=True), names, strict=True)
        ]

    once, whole = beside["flops"]
    fitted = temperatures[FIRST], temperatures[SECOND]
    cascade = Cascade(fitted, (once, whole), beside["threshold"])
    return CascadeStages(predict, cascade, temperatures["base"])


def ensemble_in(path: pathlib.Path, described: dict) -> tuple[Predictor, Callable]:
    """An exported ensemble, and a function to the log-probabilities of ensemble and base.

    They are without their temperatures where these are known. A file without a base, of one network
    with several outputs, has the ensemble's in its place.
    """
    temperatures = described.get("temperatures", {})
    whole = load_predictor(path)
    base = whole if temperatures and "base" not in temperatures else load_predictor(path, "base")
    of_both = [temperatures.get(name, 1.0) for name in ("ensemble", "base")]

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = []
        for run, temperature in zip((whole, base), of_both, strict=True):
            starts = range(0, len(images), _BATCH)
            parts = [run(images[k : k + _BATCH])["probabilities"] for k in starts]
            both.append(without_temperature(np.concatenate(parts), temperature))
        return both[0], both[1]

    return whole, predict


def without_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities as they were before temperature scaling, N×classes."""
    logs = np.log(np.maximum(probabilities.astype("float64"), _TINY))
    return apply_temperature(logs, 1 / temperature)
