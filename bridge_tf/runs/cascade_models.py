"""The cascades of a run's report as models, and what their exported files are worth."""

import pathlib

import numpy as np

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.conformal import PredictionSets, fit_sets, measure_sets
from bridge_tf.evaluation.scores import both_scores
from bridge_tf.export.scoring import log_probs_in, outputs_of, sizes
from bridge_tf.report import read_report
from bridge_tf.runs.context import Run
from bridge_tf.runs.rows import cascade_pairs, executed_modes, row_ensemble, rows_of
from bridge_tf.runs.status import measured_files
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import logger


def current_report(run: Run, row: str) -> dict:
    """The run's report, which the export of `row` needs.

    Raises:
        InputError: there is none, it is damaged, or what it was made from has changed.
    """
    path = run.files.report
    run.files.need([path], "export", "evaluate")
    if not run.files.current(path, measured_files(run)):
        raise InputError(
            f"`ensemble={row}`: {path} isn't of the networks that are there; evaluate the run again"
        )
    return read_report(path)


def is_cascade(name: str) -> bool:
    """Whether a row of this name is a cascade's."""
    return name.rpartition("_")[0] in ("cascade", "bridge_cascade", "student_cascade")


def cascade_names(run: Run) -> list[str]:
    """The cascades in the run's report, if there is a current one."""
    path = run.files.report
    if run.files.state(path, measured_files(run)) != "current":
        return []
    return [row["name"] for row in read_report(path)["ensembles"] if is_cascade(row["name"])]


def cascade_of(run: Run, rows: dict[str, dict], name: str) -> CascadeEnsemble:
    """A cascade with the threshold and the temperatures of the report, whose `rows` are by name.

    Raises:
        InputError: the report has no such row, the export is to have no temperatures, or a file is
            damaged.
    """
    if name not in rows:
        raise InputError(
            f"`ensemble={name}`: isn't a row of {run.files.report}; name one of {', '.join(rows)}"
        )
    if not run.config.calibrate:
        raise InputError(
            f"`calibrate=false`: {name} decides by calibrated probabilities; leave it out"
        )
    ensemble = run.load(run.files.ensemble, BridgeEnsemble)
    others = {row: (method, members) for method, row, _, members in rows_of(run, ensemble)}
    pairs = {row: pair for row, *pair in cascade_pairs(others, run.config.num_modes)}
    first, second = pairs[name]
    once = row_ensemble(run, first)
    base = "student_1" if run.config.distil_base and first != "single" else "single"
    once = once.calibrated(rows[first]["temperature"], rows[base]["temperature"])
    reused = executed_modes(others[first][1])
    modes = [run.load_mode(k) for k in range(reused, len(others[second][1]))]
    threshold, temperature = rows[name]["threshold"], rows[second]["temperature"]
    return CascadeEnsemble(once, modes, threshold, temperature, reused)


def sets_of_cascade(run: Run, cascade: CascadeEnsemble) -> PredictionSets:
    """The prediction sets of a cascade for the wanted coverage."""
    split = run.data.validation
    predicted = cascade.predict(np.asarray(split.images, "float32"), verbose=0)
    return fit_sets(predicted["probabilities"], split.labels, run.config.coverage)


def row_of_cascade(
    run: Run,
    path: pathlib.Path,
    name: str,
    cascade: CascadeEnsemble,
    sets: PredictionSets | None = None,
) -> dict:
    """The row of "artifacts" of a cascade's .tflite or .onnx file that is to be called `name`,
    with these prediction sets inside.
    """
    logger.info(f"export: measuring {name}")
    outputs = outputs_of(path, run.data.test.images)
    calibrated, first = log_probs_in(outputs), cascade.first.temperature
    temperatures = np.where(outputs["goes_on"], cascade.temperature, first)
    raw = apply_temperature(calibrated * temperatures[:, None], 1)
    figures = both_scores(raw, calibrated, run.data.test.labels)
    if sets:
        of_file = outputs["probabilities"]
        figures["prediction_sets"] = measure_sets(sets, of_file, run.data.test.labels)
    return {"file": name, **sizes(path), **figures, "temperature": first, "latency_ratio": None}
