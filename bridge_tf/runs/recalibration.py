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
from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature, rounded
from bridge_tf.evaluation.change import change
from bridge_tf.evaluation.conformal import PredictionSets, check_coverage, fit_sets, measure_sets
from bridge_tf.evaluation.early_exit import fit_early_exit
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.export.exporter import Artifacts, export
from bridge_tf.export.kinds import costs_of
from bridge_tf.export.labels import labels_beside, read_labels
from bridge_tf.export.metadata import description_of
from bridge_tf.export.predictor import load_predictor
from bridge_tf.export.signatures import FIRST
from bridge_tf.networks.loading import read_model
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.cascade_recalibration import CascadeStages, recalibrate_cascade
from bridge_tf.runs.context import Run
from bridge_tf.runs.exported_models import (
    early_exit_beside,
    ensemble_in,
    sets_in,
    stages_in,
)
from bridge_tf.runs.row_models import row_model
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import replacing, sha256

_FEWEST = 20


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """A model to calibrate.

    Attributes:
        predict: from images N×H×W×C to log-probabilities of ensemble and base without their
            temperatures, N×classes; with them where the temperatures are unknown. None for a
            cascade.
        temperatures: of ensemble and base; None if unknown.
        image_shape: (height, width, channels).
        labels: names of the classes; empty if unknown.
        ensemble: None for an exported file.
        sets: those inside; None if there are none.
        stages: of a cascade.
        has_base: whether there is a base that runs alone.
        more: what an image costs that early exit sends on, relative to the base; None without.
    """

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None
    temperatures: tuple[float, float] | None
    image_shape: tuple[int, ...]
    labels: tuple[str, ...]
    ensemble: BridgeEnsemble | MembersEnsemble | CascadeEnsemble | None = None
    sets: PredictionSets | None = None
    stages: CascadeStages | None = None
    has_base: bool = True
    more: float | None = None


def open_model(path: pathlib.Path) -> Calibrated:
    """Opens a saved `BridgeEnsemble`, a .tflite file or a SavedModel.

    Raises:
        InputError: it is none of these, or damaged.
    """
    return _saved(path) if path.suffix == ".keras" and path.is_file() else _exported(path)


def _saved(path: pathlib.Path) -> Calibrated:
    model = read_model(path, "model")
    kinds = BridgeEnsemble, MembersEnsemble, CascadeEnsemble
    if not isinstance(model, kinds) or len(model.input_shape) != 4:
        raise InputError(
            f"`model`: {path} holds no ensemble of images; name a run's ensemble.keras"
        )
    classes = model.output["probabilities"].shape[-1]
    return of_ensemble(model, read_labels(labels_beside(path), classes, warn=True))


def of_ensemble(
    model: BridgeEnsemble | MembersEnsemble | CascadeEnsemble, labels: tuple[str, ...]
) -> Calibrated:
    """A model to calibrate, of an ensemble of images and the names of its classes."""

    shape = tuple(model.input_shape[1:])
    if isinstance(model, CascadeEnsemble):
        return Calibrated(None, None, shape, labels, model, stages=CascadeStages.of(model))

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = log_prob_predictor(model)(images)
        return ensemble_log_probs(found), found[0]

    temperatures = model.temperature, model.base_temperature
    has_base, more = isinstance(model, BridgeEnsemble), None
    if isinstance(model, BridgeEnsemble) and model.bridges:
        once, whole = costs_of(model)
        more = whole - once
    return Calibrated(predict, temperatures, shape, labels, model, has_base=has_base, more=more)


def _exported(path: pathlib.Path) -> Calibrated:
    described = description_of(path)
    temperatures, sets = described.get("temperatures", {}), sets_in(described)
    if FIRST in temperatures:
        whole, stages = load_predictor(path), stages_in(path, described)
        return Calibrated(None, None, whole.image_shape, whole.labels, sets=sets, stages=stages)
    whole, predict = ensemble_in(path, described)
    of_both = None
    if temperatures:
        of_both = temperatures["ensemble"], temperatures.get("base", 1.0)
    has_base = "base" in temperatures or not temperatures
    flops = early_exit_beside(path).get("flops")
    more = flops[1] - flops[0] if flops else None
    shape, labels = whole.image_shape, whole.labels
    return Calibrated(predict, of_both, shape, labels, sets=sets, has_base=has_base, more=more)


def open_row(run: Run, name: str) -> Calibrated:
    """Opens a row of a run's report; errors are those of `row_model`."""
    return of_ensemble(row_model(run, name), run.data.class_names)


def read_images(spec: str, data_dir: str, split: str, model: Calibrated) -> tuple[Split, Dataset]:
    """The images of a data set, in the forms of `load_dataset`, for a model; and the data set.

    Raises:
        InputError: they can't be read, are too few, of another size or of other classes.
    """
    height, width, _ = model.image_shape
    dataset = load_dataset(spec, data_dir or None, image_size=height if height == width else 0)
    if dataset.image_shape != model.image_shape:
        found, wanted = ("×".join(map(str, x)) for x in (dataset.image_shape, model.image_shape))
        remedy = "resize them"
        if dataset.image_shape[2] != model.image_shape[2]:
            grey = model.image_shape[2] == 1
            remedy = "save them as grey images" if grey else "save them in colour"
        raise InputError(
            f"`dataset={spec}`: its images are {found}; `model` takes {wanted}: {remedy}"
        )
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
        ensemble: with its new temperatures; None for an exported file.
    """

    report: dict
    ensemble: BridgeEnsemble | MembersEnsemble | CascadeEnsemble | None
    early_exit: dict | None
    sets: PredictionSets | None


def recalibrate(
    model: Calibrated,
    images: Split,
    num_classes: int,
    coverage: float,
    budgets: tuple[float, float],
) -> Findings:
    """Fits everything on labelled images.

    Args:
        num_classes: of the data set, which must be the model's.
        coverage: of prediction sets; 0: none.
        budgets: `early_exit_budget` and, for a cascade, `average_cost`.

    Raises:
        InputError: there are too few images for the coverage, or other classes.
    """
    if coverage:
        check_coverage(coverage, len(images))
    labels = images.labels
    if model.stages:
        return _of_cascade(model, images, num_classes, coverage, budgets[1])
    log_probs = model.predict(images.images)
    _check_classes(num_classes, log_probs[0])
    fitted = [rounded(fit_temperature(x, labels)) for x in log_probs]
    report: dict = {"images": len(images)}
    for k, name in enumerate(("ensemble", "base")[: 1 + model.has_base]):
        old = model.temperatures[k] if model.temperatures else None
        report[name] = change(log_probs[k], labels, old, fitted[k])
    early_exit = None
    if model.more is not None:
        early_exit = fit_early_exit(log_probs[1], labels, budgets[0], model.more)
        early_exit |= {"budget": budgets[0]}
        report["early_exit"] = early_exit
    inside = model.temperatures[0] if model.temperatures else 1.0
    old_and_new = (apply_temperature(log_probs[0], t) for t in (inside, fitted[0]))
    sets = _sets(model, report, *old_and_new, labels, coverage)
    new_ensemble = model.ensemble and model.ensemble.calibrated(*fitted)
    return Findings(report, new_ensemble, early_exit, sets)


def _of_cascade(
    model: Calibrated, images: Split, num_classes: int, coverage: float, average_cost: float
) -> Findings:
    _check_classes(num_classes, model.stages.predict(images.images[:1])[0])
    found = recalibrate_cascade(model.stages, images, average_cost)
    report = {"images": len(images), **found.report}
    sets = _sets(model, report, found.old, found.new, images.labels, coverage)
    return Findings(report, found.ensemble, None, sets)


def _check_classes(num_classes: int, log_probs: np.ndarray) -> None:
    if num_classes != log_probs.shape[1]:
        raise InputError(
            f"`dataset`: has {num_classes} classes, `model` {log_probs.shape[1]}; name images "
            "of the same classes"
        )


def _sets(
    model: Calibrated,
    report: dict,
    old: np.ndarray,
    new: np.ndarray,
    labels: np.ndarray,
    coverage: float,
) -> PredictionSets | None:
    """The prediction sets for a coverage, if any; the report says them, and what old ones do."""
    sets = fit_sets(np.exp(new), labels, coverage) if coverage else None
    if sets:
        report["prediction_sets"] = dataclasses.asdict(sets)
    if model.sets:
        report["old_prediction_sets"] = measure_sets(model.sets, np.exp(old), labels)
    return sets


def save(findings: Findings, path: pathlib.Path) -> None:
    """Writes the ensemble with its new temperatures to a .keras file."""
    with replacing(path) as partial:
        write_model(findings.ensemble, partial)


def export_anew(
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
        findings.ensemble,
        *place,
        images,
        class_names,
        source=made_from,
        early_exit=findings.early_exit,
        sets=findings.sets,
    )
