"""A run's export compressed further: trained for quantization, pruned, its weights clustered."""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation.scores import calibrate, log_prob_predictor
from bridge_tf.export.compression.folder import COMPRESSED, TEMPERATURES, TFLITE
from bridge_tf.export.compression.plan import read_weights, write_plan
from bridge_tf.export.compression.process import run_method
from bridge_tf.export.compression.settings import Compression, file_names
from bridge_tf.export.layout import find_export, finish_exports, staging
from bridge_tf.export.tflite_files import in_float32, write_tflite_files
from bridge_tf.runs.artifacts import check_accuracy, compressed_items, export_rows, row_of
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.evaluate.pages import add_artifacts
from bridge_tf.runs.status import check_trained
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_space, folder_to_disk, sha256
from bridge_tf.utils.terminal import logger

# Bytes: the ensemble as TensorFlow, tf_keras and TFLite keep it, and the graphs of its signatures.
_COPIES, _GRAPHS = 8, 8e6


def compress(run: Run, compressions: list[Compression]) -> list[pathlib.Path]:
    """Compresses the exported ensemble, and measures the files on the test split.

    Finished files are kept. The measurements go into the report, if there is one.

    Returns:
        The files, EXPORT_DIR/NAME.METHOD.tflite, of the kinds in `tflite` where the method
        leaves weights in floating point.

    Raises:
        InputError: something that is trained, or the export, is missing or damaged; layers that
            can't be compressed.
        ParityError: a file loses too much accuracy; none of the method is there then.
        TrainingError: the process that compresses has failed.
    """
    with run.files.held(run.wait):
        run.files.check(run.config)
        check_trained(run, "compress")
        finish_exports(run.config.export_dir)
        exported = _exported(run)
        targets, files = functools.cache(functools.partial(_targets, run)), []
        for compression in compressions:
            done = _done(run, compression)
            if done:
                logger.info(f"compress: {', '.join(path.name for path in done)}: there already")
            files += done or _compress(run, compression, exported, targets)
        add_artifacts(run)
    return files


def _exported(run: Run) -> pathlib.Path:
    """The float32 file that compressed ones lie beside."""
    config, digest = run.config, run.files.manifest.digest(run.files.ensemble)
    found = find_export(config.export_dir, config.export_name, digest)
    if not found or not export_rows(run):
        raise InputError(
            f"`export_dir`: {config.export_dir} holds no export of this run's ensemble; export it "
            "there first"
        )
    return found[1]


def _done(run: Run, compression: Compression) -> list[pathlib.Path]:
    """The files of a compression with these settings, if all are there as written."""
    there = {item["row"]["file"]: item for item in compressed_items(run)}
    places = _places(run, compression)
    for place in places:
        item = there.get(place.name)
        if not item or item["settings"] != _settings(run, compression):
            return []
        if not place.exists() or sha256(place) != item["sha256"]:
            return []
    return places


def _settings(run: Run, compression: Compression) -> dict:
    config = run.config
    return {
        **compression.settings(),
        "tflite_io": config.tflite_io,
        "calibrated": config.calibrate,
    }


def _places(run: Run, compression: Compression) -> list[pathlib.Path]:
    folder = pathlib.Path(run.config.export_dir).resolve()
    names = file_names(compression.method, run.config.tflite)
    return [folder / f"{run.config.export_name}.{name}.tflite" for name in names]


def _compress(
    run: Run, compression: Compression, float32: pathlib.Path, targets: Callable
) -> list[pathlib.Path]:
    """Compresses the ensemble; nothing is visible of it before it is measured."""
    size = _COPIES * run.files.ensemble.stat().st_size + 2 * run.data.train.images.nbytes
    check_space("export_dir", run.config.export_dir, size + _GRAPHS, "the compression")
    places = _places(run, compression)
    with staging(float32.parent) as folder:
        paths, temperature = _write(run, compression, folder, targets)
        new = []
        for path, place in zip(paths, places, strict=True):
            row = row_of(run, path, float32, place.name, temperature)
            check_accuracy(run, export_rows(run)[0], row, "method")
            new.append(
                {"row": row, "settings": _settings(run, compression), "sha256": sha256(path)}
            )
        folder_to_disk(folder)
        for path, place in zip(paths, places, strict=True):
            os.replace(path, place)
    names = [place.name for place in places]
    others = [item for item in compressed_items(run) if item["row"]["file"] not in names]
    made_from = [run.files.ensemble, run.files.artifacts]
    run.files.write_json(run.files.compressed, [*others, *new], made_from)
    return places


def _targets(run: Run) -> np.ndarray:
    """The members' probabilities of the training images, N×members×classes."""
    images = _training_images(run)
    logger.info(f"compress: the ensemble's predictions on {len(images):,} images")
    ensemble = in_float32(run.load(run.files.ensemble, BridgeEnsemble))
    return np.exp(log_prob_predictor(ensemble)(images)).swapaxes(0, 1)


def _training_images(run: Run) -> np.ndarray:
    return run.data.train.in_memory(f"`dataset={run.config.dataset}`, train").images


def _write(
    run: Run, compression: Compression, folder: pathlib.Path, targets: Callable
) -> tuple[list[pathlib.Path], float]:
    """Writes the files to a folder, in the order of `_places`; the temperature in them.

    It is fitted to the compressed ensemble.
    """
    config, images, method = run.config, _training_images(run), compression.method
    ensemble = in_float32(run.load(run.files.ensemble, BridgeEnsemble))
    work = folder / "work"
    work.mkdir()
    settings = {
        **dataclasses.asdict(compression),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "io": config.tflite_io,
    }
    split = run.data.validation
    validation = (split.images, split.labels) if config.calibrate else None
    write_plan(ensemble, work, images, targets(), settings, validation)
    run_method(work)
    if method == "qat":
        temperature, _ = json.loads((work / TEMPERATURES).read_text(encoding="utf-8"))
        return [work / TFLITE], temperature
    read_weights(ensemble, work / COMPRESSED)
    ensemble = calibrate(ensemble, validation) if validation else ensemble.calibrated(1, 1)
    paths = write_tflite_files(
        ensemble, work, run.data.test.images, config.tflite, config.tflite_io, images
    )
    return paths, ensemble.temperature
