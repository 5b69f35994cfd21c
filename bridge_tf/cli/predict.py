"""bin/predict: what a model says about images."""

import json
import pathlib
import sys

import numpy as np
from absl import flags

from bridge_tf.cli import app
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.user_modules import import_modules

USAGE = """
Prints one JSON object an image: its class, probabilities, entropy and disagreement (nats).

    bin/predict --model=PATH IMAGE…

PATH is a SavedModel directory (or the folder of its versions), a .tflite or a .keras file. Images
are resized to the model's input.
"""


def main() -> None:
    flags.DEFINE_string(
        "model", "", "SavedModel directory, .tflite or .keras file.", module_name=sys.argv[0]
    )
    app.define_config_flags(("imports",))
    app.run(_predict, USAGE)


def _predict(paths: list[str]) -> None:
    from bridge_tf.data.image_io import read_image

    model = app.required("model")
    if not paths:
        raise InputError("no images: name one or more files after the flags")
    for path in paths:
        # Found wrong before the model is loaded, which takes longer.
        read_image(path, channels=3)

    if not model.endswith(".tflite"):
        app.import_keras()
        import_modules(flags.FLAGS.imports)
    from bridge_tf.export.predictor import load_predictor

    predictor = load_predictor(pathlib.Path(model))
    height, width, channels = predictor.image_shape
    if channels not in (1, 3):
        raise InputError(
            f"--model: {model} takes images of {channels} channels; image files have 1 or 3"
        )
    for path in paths:
        image = read_image(path, channels=channels, size=(height, width))
        outputs = predictor(image[np.newaxis])
        print(json.dumps(_answer(path, outputs, predictor.labels)), flush=True)


def _answer(path: str, outputs: dict, labels: tuple[str, ...]) -> dict:
    probabilities = outputs["probabilities"][0]
    top = int(np.argmax(probabilities))
    answer = {"image": path, "class": top}
    if labels:
        answer["label"] = labels[top]
    answer["probabilities"] = [float(p) for p in probabilities]
    for key in ("entropy", "disagreement"):
        if key in outputs:
            answer[key] = float(outputs[key][0])
    return answer
