"""The graph of a serialized Keras 3 model, rebuilt from `tf_keras` layers.

Graphs inside the graph are unfolded, since TensorFlow Model Optimization takes only flat ones. A
layer's name is then its path, joined by dots.
"""

import inspect

import numpy as np
import tensorflow as tf
import tf_keras

from bridge_tf.export.compression.folder import set_named_weights
from bridge_tf.export.compression.tf_keras_layers import LAYERS
from bridge_tf.networks import layer_kinds
from bridge_tf.utils.errors import InputError

_GRAPHS = ("Functional", "Sequential")
# Settings of the training of weights, and those that copies don't share.
_LEFT_OUT = ("_initializer", "_regularizer", "_constraint", "dtype", "trainable", "name")
_OTHER_NAMES = {"silu": "swish"}


def rebuild(plan: dict, weights: dict[str, np.ndarray]):
    """The model of a plan, see `plan.py`, as a flat `tf_keras` one with its weights.

    Raises:
        InputError: a layer has no counterpart in `tf_keras`.
    """
    spec = plan["input"]
    inputs = tf_keras.Input(spec["shape"], dtype=spec["dtype"], name=spec["name"])
    outputs = _Rebuilder(weights).graph(plan["model"]["config"], [inputs], "")
    return tf_keras.Model(inputs, outputs)


def check_equal(model, images: np.ndarray, wanted: list[np.ndarray], most: float) -> float:
    """The largest difference between a model's outputs and those wanted, relative to their size.

    Raises:
        InputError: it is more than `most`.
    """
    found = model(images.astype(model.input.dtype.as_numpy_dtype), training=False)
    difference = max(
        float(np.max(np.abs(x.numpy() - want)) / max(1.0, np.max(np.abs(want))))
        for x, want in zip(found, wanted, strict=True)
    )
    if not difference <= most:  # NaN too
        raise InputError(
            f"`method`: of tf_keras layers the ensemble answers otherwise (by {difference:.1e}); "
            "this network can't be compressed"
        )
    return difference


class _Rebuilder:
    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.layers = {}

    def graph(self, config: dict, inputs: list, path: str) -> list:
        """The outputs of a graph inside the graph at `path` on these inputs."""
        if "inbound_nodes" not in config["layers"][-1]:  # Sequential
            for layer in config["layers"]:
                if layer["class_name"] != "InputLayer":
                    named = {**layer, "name": layer["config"]["name"]}
                    inputs = self._call(named, inputs, path)
            return inputs
        names = [name for name, *_ in _keys(config["input_layers"])]
        found = {(name, 0, 0): x for name, x in zip(names, inputs, strict=True)}
        pending = [
            (layer, k, node)
            for layer in config["layers"]
            for k, node in enumerate(layer["inbound_nodes"])
        ]
        while pending:
            ready = [item for item in pending if all(key in found for key in _reads(item[2]))]
            if not ready:
                raise InputError(f"`method`: the graph of {config['name']} has a loop")
            for layer, k, node in ready:
                # Layers that are called on lists get lists.
                args = _filled(node["args"], found)
                for number, output in enumerate(self._call(layer, args, path)):
                    found[layer["name"], k, number] = output
            pending = [item for item in pending if item not in ready]
        # Only in this list does Keras count the making of a graph as its first call.
        graphs = {x["name"] for x in config["layers"] if x["class_name"] == "Functional"}
        return [
            found[name, k - (name in graphs), number]
            for name, k, number in _keys(config["output_layers"])
        ]

    def _call(self, layer: dict, args: list, path: str) -> list:
        """The outputs of a layer."""
        path = f"{path}{layer['name']}"
        if layer["class_name"] in _GRAPHS:
            return self.graph(layer["config"], tf.nest.flatten(args), f"{path}.")
        inputs = args[0] if len(args) == 1 else args  # operations take several tensors
        if path in self.layers:
            return _listed(self.layers[path](inputs))
        built = self.layers[path] = _layer(layer, path)
        outputs = built(inputs)
        if built.weights:
            set_named_weights(built, path, self.weights)
        return _listed(outputs)


def _layer(layer: dict, path: str):
    """The `tf_keras` layer of a serialized one, named by its path."""
    kind = layer["class_name"]
    is_operation = str(layer.get("module")).startswith("keras.src.ops")
    known = LAYERS.get(kind) or getattr(tf_keras.layers, kind, None)
    rows = layer_kinds.OPERATIONS if is_operation else layer_kinds.LAYERS
    row = rows.get(kind, layer_kinds.UNKNOWN)
    # Of operations, `tf_keras` has those that join tensors as layers.
    if known is None or (is_operation and row.channels != "joined"):
        raise InputError(
            f"`method`: {path} is of the class {kind}, for which tf_keras has no layer; this "
            "network can't be compressed"
        )
    if is_operation:
        return known(name=path)
    takes = {
        name
        for base in inspect.getmro(known)
        if base is not tf_keras.layers.Layer
        for name in inspect.signature(base.__init__).parameters
    }
    config = {row.tf_keras_names.get(k, k): value for k, value in layer["config"].items()}
    settings = {
        key: _value(value)
        for key, value in config.items()
        if key in takes and not key.endswith(_LEFT_OUT)
    }
    try:
        return known(**settings, name=path)
    except (TypeError, ValueError) as error:
        raise InputError(f"`method`: {path} can't be built of tf_keras layers ({error})") from error


def _value(value):
    """A setting in the words of `tf_keras`."""
    if isinstance(value, dict) and "class_name" in value:
        value = value["config"]
    return _OTHER_NAMES.get(value, value) if isinstance(value, str) else value


def _is_tensor(value) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _history(value: dict) -> tuple:
    return tuple(value["config"]["keras_history"])


def _reads(node) -> list[tuple]:
    """The tensors, as (layer, node, number), that a node reads."""
    if _is_tensor(node):
        return [_history(node)]
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list | tuple):
        return [key for item in node for key in _reads(item)]
    return []


def _filled(args, found: dict) -> list:
    """Arguments with tensors instead of their names."""
    if _is_tensor(args):
        return found[_history(args)]
    if isinstance(args, list | tuple):
        return [_filled(item, found) for item in args]
    return args


def _keys(layers) -> list[tuple]:
    """The tensors that a graph's configuration lists as inputs or outputs."""
    if layers and isinstance(layers[0], str):
        return [tuple(layers)]
    return [key for item in layers for key in _keys(item)]


def _listed(outputs) -> list:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
