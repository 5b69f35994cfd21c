"""An ensemble as plain data, for a process that knows `tf_keras` only, and what comes back."""

import json
import pathlib
from collections.abc import Iterator

import numpy as np
from keras import ops

from bridge_tf.export.compression.folder import (
    IMAGES,
    OUTPUTS,
    PLAN,
    TARGETS,
    WEIGHTS,
    named_weights,
    set_named_weights,
)
from bridge_tf.utils.graph import is_graph
from bridge_tf.utils.keras_utils import to_config

_COMPARED = 32


def write_plan(
    ensemble, folder: pathlib.Path, images: np.ndarray, targets: np.ndarray, settings: dict
) -> None:
    """Writes all that the other process needs to a folder.

    Args:
        ensemble: a `BridgeEnsemble` of one input.
        folder: an empty one.
        images: N×H×W×C, raw pixels, or other inputs: what the ensemble is trained on again.
        targets: N×members×classes, its probabilities there.
        settings: of the method, as plain data.
    """
    model = ensemble.members()
    np.savez(folder / WEIGHTS, **named_weights(leaves(model)))
    np.save(folder / IMAGES, images)
    np.save(folder / TARGETS, np.asarray(targets, "float32"))
    some = ops.convert_to_tensor(images[:_COMPARED].astype(ensemble.input.dtype))
    outputs = [ops.convert_to_numpy(x) for x in model(some, training=False)]
    np.savez(folder / OUTPUTS, **{str(k): value for k, value in enumerate(outputs)})
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
    (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")


def leaves(model, path: str = "") -> Iterator[tuple[str, object]]:
    """The layers with weights in a graph and the graphs inside it, each with its path."""
    for layer in model.layers:
        here = f"{path}{layer.name}"
        if is_graph(layer):
            yield from leaves(layer, f"{here}.")
        elif layer.weights:
            yield here, layer


def read_weights(ensemble, path: pathlib.Path) -> None:
    """Gives an ensemble the weights that the other process has written, in place."""
    with np.load(path) as stored:
        for name, layer in leaves(ensemble.members()):
            set_named_weights(layer, name, stored)
