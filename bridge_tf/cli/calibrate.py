"""bridge-tf calibrate: calibrates a finished ensemble on other images."""

import dataclasses
import os
import pathlib

from bridge_tf.cli.command import Command, print_json
from bridge_tf.cli.existing import existing_run, import_keras
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.model_files import check_model_file
from bridge_tf.config.inputs import check_source
from bridge_tf.config.validation import setting
from bridge_tf.export.layout import check_export
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_writable
from bridge_tf.utils.user_modules import import_modules

USAGE = """
Fits temperatures, early exit, a cascade's threshold and prediction sets of a finished ensemble on
other labelled images, without training. Prints them as JSON, with the negative log-likelihood
before and after.

    bridge-tf calibrate --model=PATH --dataset=DATA [--coverage=0.9] [--output=NEW.keras]
    bridge-tf calibrate --model=PATH --dataset=DATA --export_dir=DIR --export_name=NAME

PATH is a run's work directory, with --ensemble=ROW for a row of its report, or its ensemble.keras.
Of a SavedModel directory or a .tflite file, everything is measured, but nothing can be written.
"""
_SETTINGS = ("dataset", "data_dir", "imports", "early_exit_budget", "average_cost", "coverage")
_MODEL = "name a run's folder or ensemble.keras, a SavedModel directory or a .tflite file"
_SPLITS = ("test", "train", "validation", "all")


@dataclasses.dataclass(frozen=True)
class Options:
    """The model."""

    model: str = setting("", "A run's folder or ensemble.keras, a SavedModel or a .tflite file.")
    ensemble: str = setting("", "With a run's folder, a row of its report; default: bridges.")
    split: str = setting("test", "Images of `dataset` to calibrate on.", choices=_SPLITS)
    output: str = setting("", "New .keras file for the calibrated ensemble.")
    export_dir: str = setting("", "Folder to export the calibrated ensemble to.")
    export_name: str = setting("", "Name of the exported model; default: that of the run.")


def _calibrate(flags: Flags) -> None:
    options = flags.options
    model = options.model
    check_model_file("model", model, _MODEL)
    if not flags.is_given("dataset"):
        raise InputError(
            "`dataset`: missing; name labelled images, as in `dataset=folder:PATH`, of classes "
            "like those of the model"
        )
    config = flags.config(_SETTINGS)
    path, name = _found(pathlib.Path(model), options.export_name, options.ensemble)
    _check_places(options, path, name)
    check_source("dataset", config.dataset, config.data_dir)
    import_keras()
    import_modules(config.imports)
    from bridge_tf.runs.recalibration import (
        export_anew,
        open_model,
        open_row,
        read_images,
        recalibrate,
        save,
    )

    row = options.ensemble
    opened = open_row(existing_run(flags, ["export"], model), row) if row else open_model(path)
    images, dataset = read_images(config.dataset, config.data_dir, options.split, opened)
    budgets = config.early_exit_budget, config.average_cost
    found = recalibrate(opened, images, dataset.num_classes, config.coverage, budgets)
    report = {"model": str(path), **({"ensemble": row} if row else {}), **found.report}
    if options.output:
        save(found, pathlib.Path(options.output))
        report["written"] = [options.output]
    if options.export_dir:
        names = opened.labels or dataset.class_names
        place = options.export_dir, name
        artifacts = export_anew(found, images.images, names, place, path)
        places = [str(artifacts.saved_model), str(artifacts.tflite)]
        report["written"] = [*report.get("written", []), *places]
    print_json(report)


def _found(path: pathlib.Path, name: str, row: str) -> tuple[pathlib.Path, str]:
    """The model file, of a run's folder its ensemble; and the name for an export."""
    if not (path / "config.json").is_file():
        if row:
            raise InputError(f"`ensemble={row}`: needs a run's folder as `model`, not {path}")
        return path, name
    files = WorkDir(path)
    config = files.read_config()
    if not files.ensemble.exists():
        raise InputError(f"`model`: the run in {path} isn't trained ({files.ensemble} is missing)")
    files.verify(files.ensemble)
    return files.ensemble, name or f"{config.export_name}-{row}".removesuffix("-")


def _check_places(options: Options, model: pathlib.Path, name: str) -> None:
    """Checks where is to be written, before anything slow."""
    for given in ("output", "export_dir"):
        if getattr(options, given) and model.suffix != ".keras":
            raise InputError(
                f"`{given}`: {model} holds constants, which can't be written anew; name the "
                "run's folder, or its ensemble.keras, as `model`"
            )
    if options.output:
        output = pathlib.Path(options.output)
        if output.suffix != ".keras" or os.path.lexists(output):
            raise InputError(f"`output`: {output} must be a new file that ends in .keras")
        check_writable("output", output.parent)
    if options.export_dir:
        if not name:
            raise InputError("`export_name`: missing; name the exported model")
        check_export(options.export_dir, name)
    elif options.export_name:
        raise InputError("`export_name`: tells how an export is called; give `export_dir` too")


COMMAND = Command(USAGE, _calibrate, Options, settings=_SETTINGS)
