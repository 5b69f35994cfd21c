"""Writing the artifacts, checking them against the Keras model, and making them visible."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.export.layout import check_export, models_in, publish, staging
from bridge_tf.export.metadata import describe
from bridge_tf.export.serving import MODELS, WARMUP, lists_model, write_configurations, write_warmup
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import write_json
from bridge_tf.utils.terminal import logger


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """Where an export landed, and how far it is from the Keras model.

    Attributes:
        saved_model: EXPORT_DIR/NAME/VERSION, as TensorFlow Serving lays models out.
        tflite: EXPORT_DIR/NAME.tflite; quantized files lie beside it, as NAME.KIND.tflite.
        max_difference: the largest difference of a probability, over all signatures.
    """

    saved_model: pathlib.Path
    tflite: pathlib.Path
    max_difference: float


def export(
    ensemble,
    export_dir: str | os.PathLike,
    name: str,
    images: np.ndarray,
    class_names: Sequence[str] = (),
    source: str = "",
    *,
    tflite: Sequence[str] = (),
    tflite_io: str = "float32",
    calibration: np.ndarray = (),
    early_exit: dict | None = None,
    judge: Callable[[pathlib.Path], None] | None = None,
    card: Callable[[], str] | None = None,
) -> Artifacts:
    """Exports a `BridgeEnsemble` as a SavedModel and a float32 TFLite file, and quantized ones.

    One of mixed precision is exported in float32, the precision of its weights.

    Everything is written in a hidden folder beside its final place, compared with the Keras
    model, and then renamed; where anything fails, nothing stays, and what a killed process left
    is finished or removed by the next export. An earlier export of the same name keeps its
    version folder, and this one gets the next number.

    NAME.metadata.json beside the TFLite files tells applications what they must know of them, see
    `metadata.py`. With it goes what TensorFlow Serving reads: requests to warm up with, in the
    version's folder, and EXPORT_DIR/models.config and batching.config, unless someone has changed
    those.

    Args:
        ensemble: a `BridgeEnsemble` of one input: raw pixels, as a rule. Of another kind of input
            the signatures have the name and type, and serving_uint8 is left out.
        export_dir: made if it isn't there.
        name: of the model.
        images: N×H×W×C, raw pixels 0…255, real images for the comparison and for the requests
            (8 of them), or N inputs of the other kind.
        class_names: written as labels.txt, one a line, beside both artifacts.
        source: names what is exported, a digest for example; kept in assets.extra/export.json
            with the digests of all files.
        tflite: quantized TFLite files to write too: "float16", "int8", "int8_dynamic".
        tflite_io: type of the images that these take, "float32" or "uint8".
        calibration: for "int8", inputs as `images`: real ones that the model was trained on.
        early_exit: "threshold" (and what else is known of it) of early answers, kept beside both
            artifacts as early_exit.json.
        judge: is called with each TFLite file, model.tflite or model.KIND.tflite, before it is
            visible; what it raises ends the export.
        card: is called after that, and gives the text of NAME.md, a model card.

    Raises:
        InputError: the folder can't be written, the ensemble has several inputs, there is nothing
            to calibrate on, or uint8 is asked for what isn't images.
        ParityError: a probability differs by more than 1e-4 from the Keras model's.
    """
    # Here, since the package also reads .tflite files, which needs no Keras.
    import keras

    from bridge_tf.export.parity import spread
    from bridge_tf.export.precision import in_float32
    from bridge_tf.export.signatures import signatures
    from bridge_tf.export.tflite_files import write_float32, write_others

    if not keras.utils.is_keras_tensor(ensemble.input):
        names = ", ".join(tensor.name for tensor in ensemble.inputs)
        raise InputError(f"export: takes ensembles of one input, not of {names}")
    if tflite_io == "uint8" and len(ensemble.input_shape) != 4:
        raise InputError("`tflite_io=uint8`: is for images; leave it out")
    export_dir = check_export(export_dir, name)
    ensemble, shape = in_float32(ensemble), ensemble.input_shape[1:]
    budget = early_exit and early_exit.get("budget")
    settings = settings_of(tflite, tflite_io, budget)
    with staging(export_dir) as folder:
        saved_model = folder / "saved_model"
        found = signatures(ensemble)
        difference = write_float32(found, folder, images)
        kinds = settings["tflite"]
        quantized = write_others(ensemble, folder, kinds, tflite_io, calibration)
        for path in (folder / "model.tflite", *quantized) if judge else ():
            judge(path)
        described = describe(name, [folder / "model.tflite", *quantized], class_names, shape)
        write_json(folder / "metadata.json", described)
        if card:
            (folder / "card.md").write_text(card(), encoding="utf-8")
        write_warmup(found, name, spread(images), saved_model / WARMUP)
        _write_labels(saved_model / "assets.extra" / "labels.txt", class_names)
        _write_labels(folder / "labels.txt", class_names)
        if early_exit:
            for place in (folder, saved_model / "assets.extra"):
                write_json(place / "early_exit.json", early_exit)
        write_configurations(folder, {*models_in(export_dir), name})
        artifacts = Artifacts(*publish(folder, name, source, settings), difference)
        _say_if_unlisted(export_dir, name)
        return artifacts


def settings_of(tflite: Sequence[str], tflite_io: str, early_exit_budget: float | None) -> dict:
    """What an export's record says of how it was exported."""
    kinds = sorted({*tflite} - {"float32"})
    return {
        "tflite": kinds,
        "tflite_io": tflite_io if kinds else None,
        "early_exit_budget": early_exit_budget,
    }


def _say_if_unlisted(export_dir: pathlib.Path, name: str) -> None:
    if not lists_model(export_dir, name):
        logger.warning(
            f"export: {export_dir / MODELS} isn't as bridge_tf wrote it and stays as it is; "
            f"TensorFlow Serving finds {name} once that file lists it"
        )


def _write_labels(path: pathlib.Path, class_names: Sequence[str]) -> None:
    if class_names:
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{label}\n" for label in class_names), encoding="utf-8")
