"""bridge-tf predict: predictions for image files."""

import dataclasses
import pathlib
import warnings

import numpy as np

from bridge_tf.cli.command import Command, print_json
from bridge_tf.cli.existing import import_keras
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.model_files import check_model_file
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.paths import check_file, is_there
from bridge_tf.utils.user_modules import import_modules

USAGE = """
Prints one JSON object for each image: class, probabilities, and the ensemble's entropy and
disagreement (the mutual information between members) in nats, and the classes in the prediction set
if the model has one (--coverage of train and export).

    bridge-tf predict --model=PATH IMAGE…

PATH is a SavedModel directory (or the folder of its versions), a .tflite, .onnx or .keras file.
Images are resized to the model's input size.
"""


_IMAGE = "name a PNG or JPEG image"
_MODEL = "name a SavedModel directory, a .tflite, .onnx or .keras file"


@dataclasses.dataclass(frozen=True)
class Options:
    """The model."""

    model: str = setting("", "SavedModel directory, .tflite, .onnx or .keras file.")
    imports: list[str] = setting((), "Python modules that register the custom layers of `model`.")


def _predict(flags: Flags) -> None:
    from bridge_tf.data.image_io import read_image

    options, paths = flags.options, flags.arguments
    model = options.model
    check_model_file("model", model, _MODEL)
    if not paths:
        raise InputError("no images: name one or more files after the flags")
    for path in paths:
        # Refuse bad files before loading the model, which takes longer.
        if is_there(path, path, _IMAGE):
            check_file(path, path, _IMAGE)
        read_image(path, channels=3)

    if not model.endswith((".tflite", ".onnx")):
        import_keras()
        import_modules(options.imports)
    from bridge_tf.export.predictor import load_predictor

    if model.endswith(".keras") and pathlib.Path(model).is_file():
        from bridge_tf.networks.loading import check_keras_file

        check_keras_file(model, f"`model={model}`")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing in a damaged file
        predictor = load_predictor(pathlib.Path(model))
    height, width, channels = predictor.image_shape
    if channels not in (1, 3):
        raise InputError(
            f"`model`: {model} takes images of {channels} channels; image files have 1 or 3"
        )
    for path in paths:
        image = read_image(path, channels=channels, size=(height, width))
        outputs = predictor(image[np.newaxis])
        for name in ("probabilities", "entropy", "disagreement"):
            if not np.isfinite(outputs.get(name, 0)).all():
                raise InputError(
                    f"`model`: {model} gives {path} a value of {name} that isn't finite; name a "
                    "model whose weights and outputs are"
                )
        print_json(_prediction(path, outputs, predictor.labels))


def _prediction(path: str, outputs: dict, labels: tuple[str, ...]) -> dict:
    probabilities = outputs["probabilities"][0]
    top = int(np.argmax(probabilities))
    prediction = {"image": path, "class": top}
    if labels:
        prediction["label"] = labels[top]
    prediction["probabilities"] = [float(p) for p in probabilities]
    for key in ("entropy", "disagreement"):
        if key in outputs:
            prediction[key] = float(outputs[key][0])
    if "prediction_set" in outputs:
        classes = np.flatnonzero(outputs["prediction_set"][0])
        prediction["prediction_set"] = [labels[k] if labels else int(k) for k in classes]
    return prediction


COMMAND = Command(USAGE, _predict, Options, takes_arguments=True)
