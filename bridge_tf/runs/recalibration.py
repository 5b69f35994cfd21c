"""Calibrating a finished ensemble on other labelled images, without training.

Fitted are the temperatures of ensemble and base, the threshold of early exit and the quantile of
prediction sets. What was fitted and how good it is never share images: figures "after" are of
halves of the images, each with the temperature of the other half.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.data.dataset import Dataset, Split
from bridge_tf.data.load import load_dataset
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature, rounded
from bridge_tf.evaluation.conformal import PredictionSets, check_coverage, fit_sets, measure_sets
from bridge_tf.evaluation.early_exit import fit_early_exit_of
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.evaluation.recommendation import held_out_nll
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.export.exporter import Artifacts, export
from bridge_tf.export.labels import labels_beside, read_labels
from bridge_tf.export.metadata import description_of
from bridge_tf.export.predictor import load_predictor
from bridge_tf.networks.loading import read_model
from bridge_tf.networks.saving import write_model
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import replacing, sha256

SPLITS = ("test", "train", "validation", "all")
_FEWEST, _BATCH = 20, 100
# The smallest positive float32.
_TINY = 1e-45


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """A model to calibrate.

    Attributes:
        predict: from images N×H×W×C to log-probabilities of ensemble and base without their
            temperatures, N×classes; with them where the temperatures are unknown.
        temperatures: of ensemble and base; None if unknown.
        image_shape: (height, width, channels).
        labels: names of the classes; empty if unknown.
        ensemble: None for an exported file.
        sets: those inside; None if there are none.
    """

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    temperatures: tuple[float, float] | None
    image_shape: tuple[int, ...]
    labels: tuple[str, ...]
    ensemble: BridgeEnsemble | None = None
    sets: PredictionSets | None = None


def open_model(path: pathlib.Path) -> Calibrated:
    """Opens a saved `BridgeEnsemble`, a .tflite file or a SavedModel.

    Raises:
        InputError: it is none of these, or damaged.
    """
    return _saved(path) if path.suffix == ".keras" and path.is_file() else _exported(path)


def _saved(path: pathlib.Path) -> Calibrated:
    model = read_model(path, "model")
    if not isinstance(model, BridgeEnsemble) or len(model.input_shape) != 4:
        raise InputError(
            f"`model`: {path} holds no bridge ensemble of images; name a run's ensemble.keras"
        )
    members = log_prob_predictor(model)

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = members(images)
        return ensemble_log_probs(found), found[0]

    temperatures = model.temperature, model.base_temperature
    classes = model.output["probabilities"].shape[-1]
    labels = read_labels(labels_beside(path), classes, warn=True)
    return Calibrated(predict, temperatures, tuple(model.input_shape[1:]), labels, model)


def _exported(path: pathlib.Path) -> Calibrated:
    whole, base = load_predictor(path), load_predictor(path, "base")
    found = description_of(path)
    temperatures = None
    if found:
        temperatures = found["temperatures"]["ensemble"], found["temperatures"]["base"]

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts = range(0, len(images), _BATCH)
        both = []
        for run, temperature in zip((whole, base), temperatures or (1, 1), strict=True):
            parts = [run(images[k : k + _BATCH])["probabilities"] for k in starts]
            logs = np.log(np.maximum(np.concatenate(parts).astype("float64"), _TINY))
            both.append(apply_temperature(logs, 1 / temperature))
        return both[0], both[1]

    sets = PredictionSets(**found["prediction_set"]) if "prediction_set" in found else None
    return Calibrated(predict, temperatures, whole.image_shape, whole.labels, sets=sets)


def read_images(spec: str, data_dir: str, split: str, model: Calibrated) -> tuple[Split, Dataset]:
    """The images of a data set, in the forms of `load_dataset`, for a model; and the data set.

    Raises:
        InputError: they can't be read, are too few, of another size or of other classes.
    """
    height, width, _ = model.image_shape
    dataset = load_dataset(spec, data_dir or None, image_size=height if height == width else 0)
    if dataset.image_shape != model.image_shape:
        found, wanted = ("×".join(map(str, x)) for x in (dataset.image_shape, model.image_shape))
        raise InputError(f"`dataset={spec}`: its images are {found}; `model` takes {wanted}")
    parts = [dataset.train, dataset.validation, dataset.test]
    if split != "all":
        parts = [getattr(dataset, split)]
    parts = [part.in_memory(f"`dataset={spec}`, {split}") for part in parts]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    if len(labels) < _FEWEST:
        raise InputError(
            f"`dataset={spec}`: {len(labels)} images in `split={split}`; calibration needs "
            f"{_FEWEST} at least"
        )
    if model.labels and dataset.class_names != model.labels:
        raise InputError(
            f"`dataset={spec}`: its classes are {_shown(dataset.class_names)}, those of `model` "
            f"{_shown(model.labels)}; name images of the same classes"
        )
    return Split(images, labels), dataset


def _shown(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''} ({len(names)})"


@dataclasses.dataclass(frozen=True)
class Findings:
    """What `recalibrate` found.

    Attributes:
        report: plain data.
        temperatures: of ensemble and base; relative to the old ones if those are unknown.
    """

    report: dict
    temperatures: tuple[float, float]
    early_exit: dict | None
    sets: PredictionSets | None


def recalibrate(
    model: Calibrated, images: Split, num_classes: int, coverage: float, budget: float
) -> Findings:
    """Fits everything on labelled images.

    Args:
        num_classes: of the data set, which must be the model's.
        coverage: of prediction sets; 0: none.
        budget: `early_exit_budget`.

    Raises:
        InputError: there are too few images for the coverage, or other classes.
    """
    if coverage:
        check_coverage(coverage, len(images))
    log_probs = model.predict(images.images)
    if num_classes != log_probs[0].shape[1]:
        raise InputError(
            f"`dataset`: has {num_classes} classes, `model` {log_probs[0].shape[1]}; name images "
            "of the same classes"
        )
    fitted = [rounded(fit_temperature(x, images.labels)) for x in log_probs]
    report: dict = {"images": len(images)}
    for k, name in enumerate(("ensemble", "base")):
        old = model.temperatures[k] if model.temperatures else None
        report[name] = _change(log_probs[k], images.labels, old, fitted[k])
    early_exit = None
    if model.ensemble is not None and model.ensemble.bridges:
        early_exit = fit_early_exit_of(model.ensemble, log_probs[1], images.labels, budget)
        report["early_exit"] = early_exit
    new = np.exp(apply_temperature(log_probs[0], fitted[0]))
    sets = fit_sets(new, images.labels, coverage) if coverage else None
    if sets:
        report["prediction_sets"] = dataclasses.asdict(sets)
    if model.sets:
        inside = model.temperatures[0] if model.temperatures else 1.0
        old_probabilities = np.exp(apply_temperature(log_probs[0], inside))
        old_sets = measure_sets(model.sets, old_probabilities, images.labels)
        report["old_prediction_sets"] = old_sets
    return Findings(report, (fitted[0], fitted[1]), early_exit, sets)


def _change(log_probs: np.ndarray, labels: np.ndarray, old: float | None, new: float) -> dict:
    """Both temperatures, and the NLL before and after; 95 % of the change is by 1.96 σ."""
    before = -apply_temperature(log_probs, old or 1.0)[np.arange(len(labels)), labels]
    change = held_out_nll(log_probs, labels) - before
    error = 1.96 * change.std(ddof=1) / np.sqrt(len(change))
    mean = float(change.mean())
    return {
        "old_temperature": old,
        "temperature": None if old is None else new,
        "factor": new / (old or 1.0),
        "nll_before": float(before.mean()),
        "nll_after": float(before.mean() + mean),
        "change": [float(mean - error), float(mean + error)],
    }


def save(model: Calibrated, findings: Findings, path: pathlib.Path) -> None:
    """Writes the ensemble with its new temperatures to a .keras file."""
    with replacing(path) as partial:
        write_model(model.ensemble.calibrated(*findings.temperatures), partial)


def export_anew(
    model: Calibrated,
    findings: Findings,
    images: np.ndarray,
    class_names: tuple[str, ...],
    place: tuple[str, str],
    source: pathlib.Path,
) -> Artifacts:
    """Exports the ensemble with its new calibration, see `export`.

    `place` is the folder and the name; an export that is there gets a new version.
    """
    made_from = f"{sha256(source)}:{json.dumps(findings.report, sort_keys=True)}"
    return export(
        model.ensemble.calibrated(*findings.temperatures),
        *place,
        images,
        class_names,
        source=made_from,
        early_exit=findings.early_exit,
        sets=findings.sets,
    )
