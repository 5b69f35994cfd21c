"""The files that the two processes of a compression exchange."""

from collections.abc import Iterable, Mapping

import numpy as np

# The graph from the input to features and members' logits, as Keras serializes it; the settings.
PLAN = "plan.json"
# Arrays PATH:K, by the path of a layer and the number of the weight.
WEIGHTS = "weights.npz"
# Training inputs, and the members' probabilities there, N×members×classes.
IMAGES, TARGETS = "images.npy", "targets.npy"
# Outputs of the graph for the first images, by their numbers.
OUTPUTS = "outputs.npz"
# Validation inputs and labels, for the temperatures; and those that were fitted.
VALIDATION, TEMPERATURES = "validation.npz", "temperatures.json"
# The result: weights as above or a file; or the text of an error.
COMPRESSED, TFLITE, ERROR = "compressed.npz", "model.tflite", "error.txt"


def named_weights(layers: Iterable[tuple[str, object]]) -> dict[str, np.ndarray]:
    """The weights of layers, which are given with their paths, as WEIGHTS names them."""
    return {
        f"{path}:{k}": value
        for path, layer in layers
        for k, value in enumerate(layer.get_weights())
    }


def set_named_weights(layer, path: str, stored: Mapping[str, np.ndarray]) -> None:
    """Sets the weights of the layer at a path."""
    layer.set_weights([stored[f"{path}:{k}"] for k in range(len(layer.weights))])
