"""The files by which the two processes of a compression speak."""

from collections.abc import Iterable, Mapping

import numpy as np

# The graph from the input to features and members' logits, as Keras serializes it; the settings.
PLAN = "plan.json"
# By the path of a layer and a number, PATH:K.
WEIGHTS = "weights.npz"
# What is trained on, and the members' probabilities there, N×members×classes.
IMAGES, TARGETS = "images.npy", "targets.npy"
# What the graph gives for the first of the images, by the number of the output.
OUTPUTS = "outputs.npz"
# The answer: weights as above, or a file; or what was wrong.
COMPRESSED, TFLITE, ERROR = "compressed.npz", "model.tflite", "error.txt"


def named_weights(layers: Iterable[tuple[str, object]]) -> dict[str, np.ndarray]:
    """The weights of layers, given with their paths, as such files name them."""
    return {
        f"{path}:{k}": value
        for path, layer in layers
        for k, value in enumerate(layer.get_weights())
    }


def set_named_weights(layer, path: str, stored: Mapping[str, np.ndarray]) -> None:
    """Gives the layer at a path its weights."""
    layer.set_weights([stored[f"{path}:{k}"] for k in range(len(layer.weights))])
