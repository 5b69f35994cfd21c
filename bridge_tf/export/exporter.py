"""Exporting an ensemble: files are written, compared with the Keras model, then published."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bridge_tf.config.fields import FORMATS
from bridge_tf.export import serving
from bridge_tf.export.labels import label_lines
from bridge_tf.export.layout import check_export, models_in, publish, staging
from bridge_tf.export.metadata import describe
from bridge_tf.export.onnx_file import check_onnx
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.extras import install
from bridge_tf.utils.files import write_json
from bridge_tf.utils.terminal import logger

if TYPE_CHECKING:  # readers of .tflite files import this without Keras
    from bridge_tf.ensembles.baselines.members import MembersEnsemble
    from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
    from bridge_tf.ensembles.cascade import CascadeEnsemble
    from bridge_tf.evaluation.conformal import PredictionSets


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """The places of an export, and its difference from the Keras model.

    Attributes:
        saved_model: EXPORT_DIR/NAME/VERSION, the layout of TensorFlow Serving.
        tflite: EXPORT_DIR/NAME.tflite; beside it are quantized files, NAME.KIND.tflite, variants
            of one signature, NAME.single.tflite, and NAME.onnx.
        max_difference: the largest difference of a probability, over all signatures.
    """

    saved_model: pathlib.Path
    tflite: pathlib.Path
    max_difference: float


def export(
    ensemble: "BridgeEnsemble | CascadeEnsemble | MembersEnsemble",
    export_dir: str | os.PathLike,
    name: str,
    images: Any,
    class_names: Sequence[str] | None = (),
    source: str = "",
    *,
    formats: Sequence[str] = (),
    single: bool = False,
    tflite: Sequence[str] = (),
    tflite_io: str = "float32",
    calibration: Any = (),
    early_exit: dict | None = None,
    sets: "PredictionSets | None" = None,
    judge: Callable[[pathlib.Path, Callable[..., None]], None] | None = None,
    card: Callable[[], str] | None = None,
) -> Artifacts:
    """Exports an ensemble as a SavedModel and TFLite files, in float32 and quantized.

    An ensemble of mixed precision is exported in float32, the precision of its weights. Exported
    probabilities of ensemble and base are calibrated by the ensemble's temperatures, see
    `bridge_tf.calibrate`.

    The SavedModel of a `CascadeEnsemble` runs the second stage for unsure images only. TFLite's
    built-in operations can't choose: `serving_default` of its .tflite files runs every image
    through both stages, and the signatures `first` and `second` are for an application that
    chooses, as `early_exit.py` does by the threshold in NAME.early_exit.json.

    Files are compared with the Keras model before they appear; if anything fails, nothing is left.
    The next export finishes or removes what a killed process left. Earlier exports of the same name
    keep their version folders; this one gets the next number.

    NAME.metadata.json describes the TFLite files, see `metadata.py`. For TensorFlow Serving there
    are warm-up requests in the version's folder, and EXPORT_DIR/models.config and batching.config,
    unless someone has changed those.

    Args:
        ensemble: a `BridgeEnsemble`, a `CascadeEnsemble` or, of a run's baselines, a
            `MembersEnsemble`, which has no base. It has one input, usually raw pixels. Signatures
            take the name and type of any other input, and serving_uint8 is left out.
        export_dir: made if it isn't there.
        name: of the files, and of the model in TensorFlow Serving.
        images: N×H×W×C, real images of raw pixels 0…255, or N inputs of the other kind, for the
            comparison and (8 of them) for the warm-up requests: an array, a `Split`, or batches
            such as a `tf.data.Dataset`, of which the first 2,048 rows are taken. Labels beside
            them are ignored.
        class_names: one for each class, or none; written as labels.txt, one a line with line
            breaks in them escaped, beside both artifacts.
        source: names what is exported, for example a digest; kept in assets.extra/export.json.
        formats: "onnx" adds NAME.onnx, which has the inputs and outputs of serving_default; of a
            cascade those of the .tflite files. "saved_model" and "tflite" are always exported.
        single: adds NAME.single.tflite, and of each quantized file NAME.single.KIND.tflite, for
            runtimes that know one signature: serving_default for one image a call, with tensors
            of its names and TFLite metadata inside.
        tflite: quantized TFLite files to add: "float16", "int8", "int8_dynamic".
        tflite_io: type of the images that these take, "float32" or "uint8".
        calibration: for "int8", training inputs in the forms of `images`.
        early_exit: of a `BridgeEnsemble`, written as early_exit.json beside both; "threshold" and
            perhaps more about it.
        sets: from `bridge_tf.evaluation.fit_prediction_sets` of this ensemble with its
            temperatures; files then have the output `prediction_set`, N×classes, bool.
        judge: called with each file that is measured, model.tflite, model.KIND.tflite or
            model.onnx, before it is visible, and with a function that writes a quantized file again
            with another temperature of the ensemble (not for a cascade, whose stages keep theirs)
            and other `sets`. An error that it raises ends the export.
        card: called after `judge`; returns the text of NAME.md, a model card.

    Returns:
        The paths of the SavedModel and the TFLite file, and the largest difference of a
            probability.

    Raises:
        InputError: the folder can't be written, the ensemble has several inputs, a layer looks up
            text or numbers in tables, which TFLite's built-in operations don't, there are no
            images to calibrate on, there are names but not one a class, uint8 is asked for
            inputs that aren't images, `early_exit` is given for no `BridgeEnsemble`, or a format
            isn't known, lacks its packages or can't hold the network.
        ParityError: a probability differs by more than 1e-4 from the Keras model's.

    Example::

        artifacts = bridge_tf.export(ensemble, "saved_models", "mine", images, ["a", "b", "c"])
        print(artifacts.saved_model, artifacts.tflite)
    """
    # Imported here, since `load_predictor` reads .tflite files without Keras.
    import keras

    from bridge_tf.data.inputs import are_arrays, some_inputs
    from bridge_tf.export.kinds import (
        check_layers,
        early_exit_of,
        temperatures_of,
        unsure_first,
    )
    from bridge_tf.export.parity import check_sets, spread
    from bridge_tf.export.signatures import signatures
    from bridge_tf.export.single import write_single
    from bridge_tf.export.tflite_files import (
        in_float32,
        rewrite_with,
        write_float32,
        write_others,
    )

    formats = _checked(formats)
    if not keras.utils.is_keras_tensor(ensemble.input):
        names = ", ".join(tensor.name for tensor in ensemble.inputs)
        raise InputError(f"export: takes ensembles of one input, not of {names}")
    if tflite_io == "uint8" and len(ensemble.input_shape) != 4:
        raise InputError("`tflite_io=uint8`: is for images; leave it out")
    check_layers(ensemble)
    early_exit = early_exit_of(ensemble, early_exit)
    labels, num_classes = label_lines(class_names or ()), ensemble.output["probabilities"].shape[-1]
    if labels and len(labels) != num_classes:
        raise InputError(
            f"`class_names`: {len(labels)} names for {num_classes} classes; give one for each "
            "class, or none"
        )
    images = some_inputs(images, "images")
    if "int8" in tflite and not (are_arrays(calibration) and len(calibration) == 0):
        calibration = some_inputs(calibration, "calibration")
    export_dir = check_export(export_dir, name)
    ensemble, shape = in_float32(ensemble), ensemble.input_shape[1:]
    calibrated = (ensemble.temperature, ensemble.base_temperature) != (1, 1)
    coverage = sets.coverage if sets else 0.0
    budget = (early_exit or {}).get("budget")
    of_files = settings_of_files(formats, single)
    settings = settings_of(tflite, tflite_io, budget, calibrated, coverage) | of_files
    with staging(export_dir) as folder:
        saved_model = folder / "saved_model"
        found = signatures(ensemble, sets=sets)
        float32, difference = write_float32(found, folder, images, "onnx" in formats)
        quantized = settings["tflite"]
        others = write_others(ensemble, folder, quantized, tflite_io, calibration, sets)
        paths = [float32[0], *others, *float32[1:]]
        temperatures = dict.fromkeys(paths, ensemble.temperature)
        sets_of: dict[pathlib.Path, PredictionSets | None] = dict.fromkeys(paths, sets)

        def rewrite(path: pathlib.Path, temperature: float, own: Any = None) -> None:
            rewrite_with(temperature, own, ensemble, path, tflite_io, calibration)
            temperatures[path], sets_of[path] = temperature, own

        if judge:
            for path in paths:
                judge(path, functools.partial(rewrite, path))
        for path in others:
            if sets_of[path]:
                check_sets(sets_of[path], found["serving_default"], path, images)
        for path in [float32[0], *others] if single else ():
            variant = write_single(path, labels, images)
            temperatures[variant], sets_of[variant] = temperatures[path], sets_of[path]
        files = {
            path: temperatures_of(ensemble, temperature, early_exit)
            for path, temperature in temperatures.items()
        }
        write_json(folder / "metadata.json", describe(name, files, labels, shape, sets_of))
        if card:
            (folder / "card.md").write_text(card(), encoding="utf-8", errors="backslashreplace")
        (saved_model / "assets.extra").mkdir(exist_ok=True)
        for place in (folder, saved_model / "assets.extra"):
            if labels:
                lines = "".join(f"{label}\n" for label in labels)
                (place / "labels.txt").write_text(lines, encoding="utf-8", newline="\n")
            if early_exit:
                write_json(place / "early_exit.json", early_exit)
        if serving.can_write():
            shown = unsure_first(ensemble, spread(images))
            serving.write_warmup(found, name, shown, saved_model / serving.WARMUP)
            serving.write_configurations(folder, {*models_in(export_dir), name})
        artifacts = Artifacts(*publish(folder, name, source, settings), difference)
        _say_if_unlisted(export_dir, name)
        return artifacts


def _checked(formats: Sequence[str]) -> list[str]:
    """The formats, after a check that they are known and that their packages are installed."""
    if others := [name for name in formats if name not in FORMATS]:
        raise InputError(f"`formats={others[0]}`: must be one or more of {', '.join(FORMATS)}")
    if "onnx" in formats:
        check_onnx()
    return list(formats)


def _say_if_unlisted(export_dir: pathlib.Path, name: str) -> None:
    """Says that an edited models.config doesn't list the model, or that none could be written."""
    if not serving.can_write():
        logger.warning(
            f"export: without {serving.MODELS} and warm-up requests for TensorFlow Serving; "
            f"{install('tensorflow_serving')} has what writes them"
        )
    elif not serving.lists_model(export_dir, name):
        path = export_dir / serving.MODELS
        logger.warning(
            f"export: {path} isn't as bridge_tf wrote it and stays as it is; TensorFlow Serving "
            f"finds {name} once that file lists it"
        )


def settings_of_files(formats: Sequence[str], single: bool) -> dict:
    """The settings in an export's record that add files; earlier records lack them."""
    return {"formats": sorted({*formats} & {"onnx"}), "single": single}


def settings_of(
    tflite: Sequence[str],
    tflite_io: str,
    early_exit_budget: float | None,
    calibrated: bool,
    coverage: float = 0.0,
) -> dict:
    """The settings in an export's record."""
    kinds = sorted({*tflite} - {"float32"})
    return {
        "tflite": kinds,
        "tflite_io": tflite_io if kinds else None,
        "early_exit_budget": early_exit_budget,
        "calibrated": calibrated,
        "coverage": coverage,
    }
