"""The stage `export`: the deployable files, measured on the test split."""

import hashlib
import json
import pathlib
from collections.abc import Callable

from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.early_exit import fit_early_exit
from bridge_tf.evaluation.scores import fit_prediction_sets, log_prob_predictor
from bridge_tf.export.exporter import export
from bridge_tf.export.kinds import costs_of
from bridge_tf.export.layout import check_export, finish_exports
from bridge_tf.export.metadata import ensemble_temperature
from bridge_tf.export.model_card import model_card
from bridge_tf.export.onnx_file import check_onnx
from bridge_tf.export.prediction_sets import sets_inside
from bridge_tf.runs.artifacts import (
    check_accuracy,
    export_rows,
    exported_files,
    find_files,
    measured,
    row_of,
    row_of_keras,
)
from bridge_tf.runs.cascade_models import is_cascade, row_of_cascade, sets_of_cascade
from bridge_tf.runs.context import Run
from bridge_tf.runs.prediction_sets import check_sets
from bridge_tf.runs.row_models import RECOMMENDED, recommended_row, report_rows, row_model
from bridge_tf.runs.stages.evaluate.pages import add_artifacts
from bridge_tf.runs.status import check_baselines, check_trained, measured_files
from bridge_tf.runs.task_graph import Task
from bridge_tf.utils.files import check_space
from bridge_tf.utils.terminal import logger

# Bytes: a SavedModel and a .tflite hold the weights once each, and the graphs of their signatures;
# a cascade's .tflite is made from another SavedModel.
_EXPORTED, _GRAPHS = 2.5, 4e6


class Export:
    """Exports the ensemble."""

    def check(self, run: Run) -> None:
        """Finds an export folder that can't be used, missing packages, and too few validation
        images for prediction sets, before anything is trained.
        """
        _check_formats(run)
        check_export(run.config.export_dir, run.config.export_name)
        check_sets(run)

    def prepare(self, run: Run) -> list[Task]:
        """The export; `do` finds whether it is done."""
        return run.graph.of("export")

    def do(self, run: Run, task: Task) -> None:
        """Exports the ensemble, unless that is done, and measures the files on the test split.

        The measurements go into the report, if there is one.

        Raises:
            InputError: something that is trained is missing or damaged.
            ParityError: a file predicts otherwise than the Keras model; none is there then.
        """
        check_trained(run, "export")
        _check_formats(run)
        finish_exports(run.config.export_dir)
        exported = exported_files(run)
        if exported and export_rows(run):
            logger.info(f"export: {run.config.export_name} is there already")
        else:
            _export(run, exported)
        add_artifacts(run)


def _export(run: Run, exported: list[pathlib.Path]) -> None:
    """Writes the files that aren't there, and what they are worth."""
    ensemble = run.load(run.files.ensemble, BridgeEnsemble)
    predict = log_prob_predictor(ensemble)
    rows = [row_of_keras(run, ensemble, predict(run.data.test.images))]
    if exported:  # by a process that was killed before it wrote what they are worth
        float32 = exported[1]
        for path in measured(exported):
            sets = sets_inside(path)
            temperature = ensemble_temperature(path)
            rows.append(row_of(run, path, float32, path.name, temperature, sets=sets))
    else:
        source = run.files.manifest.digest(run.files.ensemble)
        early_exit = _early_exit(run, ensemble, predict)
        _write_files(run, ensemble, run.config.export_name, source, rows, early_exit)
    run.files.claim(run.config)
    run.files.write_json(run.files.artifacts, rows, [run.files.ensemble])


def export_row(run: Run, row: str) -> list[pathlib.Path]:
    """Exports a row of the table as EXPORT_NAME-ROW, unless that is there; the "recommended" one
    is that of the report.

    Its temperatures are fitted on the validation split, as those of the row; a cascade has those of
    the report, and its threshold. Report and work directory stay as they are.

    Returns:
        The SavedModel, the TFLite files, float32 first, and the ONNX file.

    Raises:
        InputError: there is no such row, it can't be exported, or a file is missing or damaged.
        ParityError: a file predicts otherwise than the Keras model; none is there then.
    """
    check_trained(run, "export")
    check_baselines(run)
    _check_formats(run)
    if row == RECOMMENDED:
        row = recommended_row(run)
    name = f"{run.config.export_name}-{row}"
    check_export(run.config.export_dir, name)
    check_sets(run)
    finish_exports(run.config.export_dir)
    made_from = run.files.manifest.digests(measured_files(run))
    rows = report_rows(run, row) if is_cascade(row) else {}
    figures = [rows[row]] if row in rows else []  # thresholds differ with `average_cost`
    text = json.dumps([row, made_from, *figures], sort_keys=True)
    source = hashlib.sha256(text.encode()).hexdigest()
    if not find_files(run, name, source, early_exit=False):
        ensemble = row_model(run, row)
        if figures:
            of_keras = {"file": row, **rows[row]}
        else:
            test = log_prob_predictor(ensemble)(run.data.test.images)
            of_keras = row_of_keras(run, ensemble, test, row)
        _write_files(run, ensemble, name, source, [of_keras])
    return find_files(run, name, source, early_exit=False)


def _check_formats(run: Run) -> None:
    """Raises an InputError if packages of a format are missing."""
    if "onnx" in run.config.formats:
        check_onnx()


def _write_files(
    run: Run,
    ensemble: BridgeEnsemble | CascadeEnsemble | MembersEnsemble,
    name: str,
    source: str,
    rows: list[dict],
    early_exit: dict | None = None,
) -> None:
    """Writes the files called `name`, and adds what each is worth to the rows."""
    config = run.config
    copies = _EXPORTED + len(config.tflite) * (1 + config.single) + ("onnx" in config.formats)
    copies += isinstance(ensemble, CascadeEnsemble)
    size = copies * 4 * ensemble.count_params() + _GRAPHS
    check_space("export_dir", config.export_dir, size, "the stage export")
    if not config.calibrate:
        ensemble = ensemble.calibrated(1, 1)
    sets = None
    if config.coverage:
        if isinstance(ensemble, CascadeEnsemble):
            sets = sets_of_cascade(run, ensemble)
        else:
            sets = fit_prediction_sets(ensemble, run.data.validation, config.coverage)

    def judge(path: pathlib.Path, rewrite: Callable[..., None]) -> None:
        file, float32 = path.name.replace("model", name, 1), "model.tflite"
        if isinstance(ensemble, CascadeEnsemble):
            row = row_of_cascade(run, path, file, ensemble, sets)
        else:
            given = (path.with_name(float32), file, ensemble.temperature)
            again = None if path.name in (float32, "model.onnx") else rewrite
            timed = isinstance(ensemble, BridgeEnsemble)
            row = row_of(run, path, *given, again, sets, timed)
        rows.append(row)
        check_accuracy(run, rows[0], row, "tflite")

    artifacts = export(
        ensemble,
        config.export_dir,
        name,
        run.data.test.images,
        run.data.class_names,
        source=source,
        formats=config.formats,
        single=config.single,
        tflite=config.tflite,
        tflite_io=config.tflite_io,
        calibration=run.data.train.images,
        early_exit=early_exit,
        sets=sets,
        judge=judge,
        card=lambda: model_card(config, run.data, ensemble, rows, name),
    )
    logger.info(
        f"export: {artifacts.saved_model} and {artifacts.tflite}, within "
        f"{artifacts.max_difference:.1e} of the Keras model"
    )


def _early_exit(run: Run, ensemble, predict: Callable) -> dict:
    """Threshold and temperature of early exit, for the wanted cost.

    `predict` gives the members' log-probabilities of images, members×N×classes.
    """
    validation, budget = run.data.validation, run.config.early_exit_budget
    base = predict(validation.images)[0]
    once, whole = costs_of(ensemble)
    found = fit_early_exit(base, validation.labels, budget, whole - once)
    if not run.config.calibrate:
        found["temperature"] = 1.0
    return {**found, "budget": budget}
