"""Weights from files for the models of `keras.applications`.

Layers are matched by name. If that fails for a file that Keras publishes (legacy .h5), they are
matched by order, as in Keras: some layers were renamed after their weights were published.
"""

import pathlib
import re

import h5py
import keras
import numpy as np
from keras import ops

from bridge_tf.networks.layer_names import automatic_prefix, numbered
from bridge_tf.networks.loading import read_model
from bridge_tf.networks.preprocessing import IMAGENET_STD
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.keras_utils import inner_layers


def load_weights(model: keras.Model, path) -> None:
    """Loads the weights of another classifier, from a .keras, .weights.h5 or legacy .h5 file.

    The model's layers are numbered by `number_layers`. The last one with weights keeps its random
    weights if the file has none that fit, for example because of another number of classes.

    Raises:
        InputError: the file is missing or damaged, it has no fitting weights for a layer other than
            the last, or it has layers that the model lacks. Then nothing is loaded.
    """
    stored, in_order = _read(path)
    # A legacy file has one entry for a nested model; other files have one for each layer inside.
    layers = model.layers if in_order else _leaves(model)
    variables = {
        layer.name: layer.trainable_weights + layer.non_trainable_weights
        for layer in layers
        if layer.weights
    }
    prefixes = {automatic_prefix(layer) for layer in layers} - {None}
    values = [arrays for _, arrays in stored]
    found = dict(zip(numbered([name for name, _ in stored], prefixes), values, strict=True))
    *body, classifier = variables
    if in_order and not found.keys() >= set(body) and len(values) <= len(variables):
        found = dict(zip(variables, values, strict=False))

    fitting = [name for name in variables if _fits(variables[name], found.get(name, ()))]
    unknown = sorted(found.keys() - {layer.name for layer in layers})
    if classifier not in found and len(unknown) == 1:
        unknown = []  # the last layer has another name in the file
    if not set(fitting) & set(body):
        raise InputError(f"`weights={path}`: has no layer that fits {model.name}")
    if misfits := [name for name in body if name not in fitting]:
        raise InputError(
            f"`weights={path}`: has no weights, or of other shapes, for {_some(misfits)} of "
            f"{model.name}; only the classifier '{classifier}' may differ"
        )
    if unknown:
        raise InputError(
            f"`weights={path}`: belongs to another network, with layers that {model.name} lacks: "
            f"{_some(unknown)}"
        )
    for name in fitting:
        for variable, value in zip(variables[name], found[name], strict=True):
            variable.assign(value)
    for layer in _leaves(model):
        if isinstance(layer, keras.layers.Normalization):
            _finalize(layer)


def _read(path) -> tuple[list[tuple[str, list[np.ndarray]]], bool]:
    """Name and arrays of each layer with weights, and whether the layers are in model order."""
    if not str(path).endswith(".keras"):
        return read_h5(path)
    layers = ((layer.name, _arrays(layer)) for layer in _leaves(read_model(path, "weights")))
    return [(name, arrays) for name, arrays in layers if arrays], False


def _arrays(layer) -> list[np.ndarray]:
    if isinstance(layer, keras.layers.Normalization) and not layer.weights:
        # Its moments became constants in the file's model.
        moments = (layer.input_mean, layer.input_variance)
        return [*(np.asarray(moment, "float32") for moment in moments), np.zeros((), "int32")]
    return [ops.convert_to_numpy(variable) for variable in layer.weights]


def _leaves(model) -> list:
    """The layers without inner layers, in the model's order."""
    return [x for layer in model.layers for x in inner_layers(layer) if len(inner_layers(x)) == 1]


def _fits(variables, arrays) -> bool:
    return [tuple(v.shape) for v in variables] == [a.shape for a in arrays]


def _finalize(layer: keras.layers.Normalization) -> None:
    """Applies loaded moments."""
    # EfficientNet's published variances are in fact standard deviations. keras.applications
    # corrects this, by a second division by their roots, only if it loads the weights itself.
    variance = layer.adapt_variance if layer.weights else None
    if variance is not None and variance.shape == (3,) and np.allclose(variance, IMAGENET_STD):
        variance.assign(ops.square(variance))
    layer.finalize_state()


def _some(names: list[str]) -> str:
    """The first names and the number of the others."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def read_h5(path) -> tuple[list[tuple[str, list[np.ndarray]]], bool]:
    """Reads a .weights.h5 file of Keras 3, or a legacy .h5 file of weights or a whole model.

    Returns name and arrays of each layer with weights, trainable arrays first, and whether the
    layers are in the order of the model: always in legacy files, else only layers of one class.

    Raises:
        InputError: the file is missing, damaged or in another format.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"`weights={path}`: there is no such file")
    try:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            legacy = any(name.startswith("layer_names") for name in group.attrs)
            layers = _read_legacy(group) if legacy else _read_keras3(file["layers"])
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(
            f"`weights={path}`: can't be read ({reason(error)}); it must be a .weights.h5, a "
            "legacy .h5 or a .keras file"
        ) from error
    if any(name is None for name, _ in layers):
        raise InputError(
            f"`weights={path}`: an older Keras wrote it without the names of its layers; load it "
            "there and save the model as .keras"
        )
    return layers, legacy


def _read_keras3(group: h5py.Group) -> list[tuple[str | None, list[np.ndarray]]]:
    found = {}

    def visit(path, item):
        if re.search(r"(^|/)(?!seed_generator)[^/]+/vars$", path) and len(item):
            arrays = [np.asarray(item[str(i)]) for i in range(len(item))]
            found[path] = item.attrs.get("name"), arrays

    group.visititems(visit)
    # Groups are named by class and number; HDF5 lists conv2d_10 before conv2d_9.
    return [found[path] for path in sorted(found, key=_numbers_by_value)]


def _numbers_by_value(path: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _read_legacy(group: h5py.Group) -> list[tuple[str, list[np.ndarray]]]:
    layers = []
    for name in _names(group, "layer_names"):
        arrays = [np.asarray(group[name][weight]) for weight in _names(group[name], "weight_names")]
        if arrays:
            layers.append((name, arrays))
    return layers


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list from an attribute, or from several numbered ones if it is long."""
    keys = [attribute] if attribute in group.attrs else []
    while (key := f"{attribute}{len(keys)}") in group.attrs:
        keys.append(key)
    return [n.decode() if isinstance(n, bytes) else n for key in keys for n in group.attrs[key]]
