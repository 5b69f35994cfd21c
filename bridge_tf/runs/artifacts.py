"""The exported files of a run: where they are, and what they are worth."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature, rounded
from bridge_tf.evaluation.conformal import PredictionSets, fit_sets, measure_sets
from bridge_tf.evaluation.latency import latency_ratio
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.evaluation.scores import both_scores
from bridge_tf.export.exporter import settings_of, settings_of_files
from bridge_tf.export.labels import is_single
from bridge_tf.export.layout import find_export
from bridge_tf.export.scoring import early_exit_ratios, log_probs_of, sizes
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError, ParityError
from bridge_tf.utils.terminal import logger

# By how much a quantized file's own temperature must lower the NLL, in nats.
_LOWER = 1e-4


def exported_files(run: Run) -> list[pathlib.Path]:
    """The SavedModel and the files beside it that this run exports, if all are there, or [].

    There may be more files than are asked for.
    """
    source = run.files.manifest.digest(run.files.ensemble)
    return find_files(run, run.config.export_name, source)


def find_files(run: Run, name: str, source: str, early_exit: bool = True) -> list[pathlib.Path]:
    """The files called `name` that were exported from `source` with the run's settings, or [].

    `early_exit`: whether they are of an ensemble that has one.
    """
    config = run.config
    budget = config.early_exit_budget if early_exit else None
    calibration = config.calibrate, config.coverage
    files = settings_of_files(config.formats, config.single)
    wanted = settings_of(config.tflite, config.tflite_io, budget, *calibration)

    def accept(there: dict) -> bool:
        kinds = set(wanted["tflite"])
        others = ["early_exit_budget", "calibrated", *(["tflite_io"] if kinds else [])]
        same_sets = there.get("coverage", 0) == wanted["coverage"]  # earlier files have none
        same = same_sets and all(there[name] == wanted[name] for name in others)
        formats = {*files["formats"]} <= {*there.get("formats", [])}
        single = there.get("single", False) or not files["single"]
        return kinds <= {*there["tflite"]} and same and formats and single

    return find_export(config.export_dir, name, source, accept)


def measured(exported: list[pathlib.Path]) -> list[pathlib.Path]:
    """Of `exported_files`, those that get a row: all but the SavedModel, which was compared with
    the Keras model, and variants of one signature, which were with the files that they are of.
    """
    return [path for path in exported[1:] if not is_single(path)]


def exported_file(run: Run) -> pathlib.Path:
    """The float32 .tflite file in the run's export folder, whatever its settings; writes nothing.

    Raises:
        InputError: the run isn't trained, or isn't exported to that folder.
    """
    workdir, export_dir = run.files.path, run.config.export_dir
    if found := _exports(run, export_dir):
        return found[1]
    for task in run.graph.tasks.values():
        path = task.file(run.files) if task.is_training and task.stage != "baselines" else None
        if path and not path.exists():
            raise InputError(
                f"`workdir`: the run's stage {task.stage} isn't done ({path} is missing); train "
                "with the run's settings to finish it"
            )
    trained_dir = run.files.read_config().export_dir
    if _exports(run, trained_dir):
        raise InputError(
            f"`export_dir`: {export_dir} holds no export of the run in {workdir}, but "
            f"{trained_dir} does: leave `export_dir` out"
        )
    places = " or ".join(dict.fromkeys((export_dir, trained_dir)))
    raise InputError(
        f"`workdir`: {workdir} isn't exported to {places}; export it first, or name another "
        "`export_dir`"
    )


def _exports(run: Run, export_dir: str) -> list[pathlib.Path]:
    files = run.files
    if not files.ensemble.exists():
        return []
    return find_export(export_dir, run.config.export_name, files.manifest.digest(files.ensemble))


def export_rows(run: Run) -> list[dict]:
    """What was measured of the last export of this ensemble; empty if there was none."""
    return _read(run, run.files.artifacts, [run.files.ensemble])


def compressed_items(run: Run) -> list[dict]:
    """What is known of the compressed files of the last export: row, settings, sha256."""
    return _read(run, run.files.compressed, [run.files.ensemble, run.files.artifacts])


def artifacts(run: Run) -> list[dict]:
    """What was measured of the last export of this ensemble and of its compressed files."""
    return export_rows(run) + [item["row"] for item in compressed_items(run)]


def _read(run: Run, path: pathlib.Path, made_from) -> list[dict]:
    if run.files.state(path, made_from) != "current":
        return []
    return json.loads(path.read_text(encoding="utf-8"))


def row_of_keras(run: Run, ensemble, test: np.ndarray, name: str = "") -> dict:
    """The ensemble's row of "artifacts", from members' log-probabilities, members×N×classes.

    `name`: of a row of the table, of which there is no file; default: ensemble.keras.
    """
    path, log_probs = run.files.ensemble, ensemble_log_probs(test)
    figures = _figures(log_probs, ensemble.temperature, run.data.test.labels)
    of_file = {"file": name} if name else {"file": path.name, **sizes(path)}
    return {**of_file, **figures, "latency_ratio": None}


def row_of(
    run: Run,
    path: pathlib.Path,
    float32: pathlib.Path,
    name: str,
    temperature: float,
    rewrite: Callable[..., None] | None = None,
    sets: PredictionSets | None = None,
    timed: bool = True,
) -> dict:
    """The row of "artifacts" of a .tflite or .onnx file that is to be called `name`.

    Args:
        float32: the .tflite file whose base it is timed against.
        temperature: that inside the file. With `calibrate=false` the calibrated figures are those
            of a temperature that is fitted to its predictions.
        rewrite: for quantized files, writes it again with another temperature, if its own lowers
            the NLL of the validation split by more than 1e-4, and with prediction sets of its own.
        sets: those inside the file.
        timed: whether `float32` has a base to time a .tflite file against.
    """
    logger.info(f"export: measuring {name}")
    dataset = run.data

    def uncalibrated(split) -> np.ndarray:
        return apply_temperature(log_probs_of(path, split.images), 1 / inside)

    inside = written = temperature
    test = uncalibrated(dataset.test)
    if rewrite or not run.config.calibrate:
        labels, validation = dataset.validation.labels, uncalibrated(dataset.validation)
        own = fit_temperature(validation, labels)
        before, after = (
            metrics.nll(apply_temperature(validation, t), labels) for t in (inside, own)
        )
        if not run.config.calibrate:
            temperature = own
        elif after < before - _LOWER:
            temperature = written = rounded(own)
        own_sets = sets
        if rewrite and sets:
            of_file = np.exp(apply_temperature(validation, written))
            own_sets = fit_sets(of_file, labels, sets.coverage)
        if rewrite and (written, own_sets) != (inside, sets):
            rewrite(written, own_sets)
        sets = own_sets
    row = {"file": name, **sizes(path), **_figures(test, temperature, dataset.test.labels)}
    if sets:
        of_file = np.exp(apply_temperature(test, written))
        row["prediction_sets"] = measure_sets(sets, of_file, dataset.test.labels)
    timed = timed and run.config.latency and path.suffix == ".tflite"
    if not timed:
        return {**row, "latency_ratio": None}
    given = path, float32, dataset.test.images[0]
    early = early_exit_ratios(*given)
    return {**row, "latency_ratio": latency_ratio(*given), "early_exit_latency_ratios": early}


def _figures(log_probs: np.ndarray, temperature: float, labels: np.ndarray) -> dict:
    calibrated = apply_temperature(log_probs, temperature)
    return {**both_scores(log_probs, calibrated, labels), "temperature": temperature}


def check_accuracy(run: Run, keras: dict, row: dict, setting: str) -> None:
    """Raises a ParityError naming `setting` if a file loses more accuracy than it may.

    `keras` and `row` are the rows of the ensemble and of the file.
    """
    most = run.config.max_accuracy_drop
    if keras["accuracy"] - row["accuracy"] > most:
        raise ParityError(
            f"`{setting}`: {row['file']} is right on {row['accuracy']:.4f} of the test images, the "
            f"Keras model on {keras['accuracy']:.4f}; that is more than "
            f"`max_accuracy_drop={most:g}` less"
        )
