"""An ensemble as plain data for the process that uses `tf_keras`, and reading its result."""

import json
import pathlib
from collections.abc import Iterator

import numpy as np
from keras import ops

from bridge_tf.export.compression import folder as files
from bridge_tf.utils.graph import is_graph
from bridge_tf.utils.keras_utils import to_config


def write_plan(
    ensemble,
    folder: pathlib.Path,
    images: np.ndarray,
    targets: np.ndarray,
    settings: dict,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Writes all that the other process needs of an ensemble of one input to an empty folder.

    Args:
        images: N×H×W×C, raw pixels, or other inputs: what it is trained on again.
        targets: N×members×classes, its probabilities there.
        settings: of the method, as plain data.
        validation: inputs and labels to which qat fits the temperatures in its file; default: none
            are in it.
    """
    model = ensemble.members()
    np.savez(folder / files.WEIGHTS, **files.named_weights(leaves(model)))
    np.save(folder / files.IMAGES, images)
    np.save(folder / files.TARGETS, np.asarray(targets, "float32"))
    if validation:
        inputs, labels = validation
        np.savez(folder / files.VALIDATION, inputs=inputs, labels=labels)
    compared = ops.convert_to_tensor(images[:32].astype(ensemble.input.dtype))
    outputs = [ops.convert_to_numpy(x) for x in model(compared, training=False)]
    np.savez(folder / files.OUTPUTS, **{str(k): value for k, value in enumerate(outputs)})
    plan = {
        "model": to_config(model),
        "input": {
            "name": ensemble.input.name,
            "shape": ensemble.input_shape[1:],
            "dtype": ensemble.input.dtype,
        },
        "features": len(ensemble.features()),
        "modes": 1 + len(ensemble.other_modes),
        "positions": ensemble.positions,
        **settings,
    }
    (folder / files.PLAN).write_text(json.dumps(plan), encoding="utf-8")


def leaves(model, path: str = "") -> Iterator[tuple[str, object]]:
    """The layers with weights in a graph and in the graphs inside it, each with its path."""
    for layer in model.layers:
        here = f"{path}{layer.name}"
        if is_graph(layer):
            yield from leaves(layer, f"{here}.")
        elif layer.weights:
            yield here, layer


def read_weights(ensemble, path: pathlib.Path) -> None:
    """Sets an ensemble's weights to those that the other process wrote."""
    with np.load(path) as stored:
        for name, layer in leaves(ensemble.members()):
            files.set_named_weights(layer, name, stored)
