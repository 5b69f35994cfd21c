"""How data that users give enters: arrays, splits, `tf.data` sets and other batches."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from bridge_tf.data.dataset import Split
from bridge_tf.data.labels import class_numbers
from bridge_tf.utils.errors import InputError

# Rows that are predicted at once from batches: few calls, and bounded memory.
_ROWS = 2048


def entered(data: Any, name: str, labelled: bool = True) -> Any:
    """`data` in the form that Keras takes: arrays, a tuple (inputs, targets) of them, or batches.

    A `Split` and lists of rows become arrays, texts become tensors; batches are returned as they
    are. A list of two or three is a tuple if `labelled`, else it holds several inputs or rows.

    Raises:
        InputError: the parts of a tuple have different lengths or none, or a `tf.data` set isn't
            batched; the message begins with `name`.
    """
    if isinstance(data, Split):
        whole = data.in_memory(name)
        data = (whole.images, whole.labels)
    if labelled and isinstance(data, list) and len(data) in (2, 3):
        data = tuple(data)
    if not are_arrays(data):
        _check_batched(data, name)
        return data
    if isinstance(data, tuple):
        count = len(data[1]) if len(data) > 1 and hasattr(data[1], "__len__") else None
        data = tuple(_array(part, count) for part in data)
    else:
        data = _array(data)
    sizes = sorted({leaf.shape[0] if leaf.shape else 0 for leaf in keras.tree.flatten(data)})
    if len(sizes) != 1 or not sizes[0]:
        raise InputError(
            f"`{name}`: arrays must have one row for each image, and at least one. Received: "
            f"arrays of {', '.join(map(str, sizes)) or 'no'} rows"
        )
    return data


def are_arrays(data: Any) -> bool:
    """Whether data are arrays, or structures of them, rather than batches."""
    return isinstance(data, tuple | list | dict) or hasattr(data, "shape")


def is_function(data: Any) -> bool:
    """Whether data are a function of the number of finished steps: neither arrays nor batches."""
    return callable(data) and not are_arrays(data)


def number_of_batches(data: Any) -> float | None:
    """The number of batches, infinite for endless ones; None if it is unknown."""
    if hasattr(data, "cardinality"):
        found = int(data.cardinality())
        return {-1: math.inf, -2: None}.get(found, found)
    if isinstance(data, keras.utils.PyDataset):
        return math.inf if data.num_batches is None else data.num_batches
    return len(data) if hasattr(data, "__len__") else None


def shape_of_labels(data: Any) -> tuple | None:
    """The shape of the labels in arrays or batches, as far as it is known before they are read.

    It is () if there are none, and None if nothing is known.
    """
    if isinstance(data, keras.utils.PyDataset):
        data = data[0]
    data = getattr(data, "element_spec", data)
    if not are_arrays(data) and not hasattr(data, "dtype"):
        return None
    if not isinstance(data, tuple | list) or len(data) < 2:
        return ()
    shape = data[1].shape if hasattr(data[1], "shape") else np.shape(data[1])
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def has_soft_labels(data: Any) -> bool:
    """Whether labels are N×classes, as one-hot ones, rather than N integers."""
    shape = shape_of_labels(data) or ()
    return len(shape) == 2 and shape[1] != 1


def check_finite(data: Any, name: str, remedy: str) -> Any:
    """`data` itself; an InputError that begins with `name` if its batches never end."""
    if not are_arrays(data) and number_of_batches(data) == math.inf:
        raise InputError(f"`{name}`: never ends; {remedy}")
    return data


def only_inputs(data: Any, name: str, model: Any, steps: int | None = None) -> Any:
    """The inputs in `data` for `model.predict`: no labels, and `steps` batches or all of them.

    Raises:
        InputError: as `entered`, or batches never end and there are no `steps`.
    """
    structure = tuple | list | dict
    several = len(getattr(model, "inputs", None) or [None]) > 1 and isinstance(data, structure)
    if not several or (isinstance(data, tuple) and isinstance(data[0], structure)):
        data = entered(data, name, labelled=False)
        data = data[0] if isinstance(data, tuple) else data
    if steps is None:
        check_finite(data, name, "give `steps`, or a part of it by take(…)")
    return data


def chunks(data: Any, name: str) -> Iterator[tuple[Any, np.ndarray]]:
    """Inputs and integer labels N: arrays at once, batches in pieces of about 2,048 rows.

    Raises:
        InputError: as `entered`; or batches never end, are empty or have no labels, or labels are
            neither N integers nor one-hot.
    """
    data = check_finite(entered(data, name), name, "give a part of it by take(…)")
    if are_arrays(data):
        yield _pair(data, name)
        return
    held: list = []
    found = False
    for batch in _each(data):
        held.append(_pair(batch, name))
        if sum(len(labels) for _, labels in held) >= _ROWS:
            yield _joined(held)
            held, found = [], True
    if held:
        yield _joined(held)
    elif not found:
        raise InputError(f"`{name}`: has no batches")


def some_inputs(data: Any, name: str, rows: int = _ROWS) -> Any:
    """Inputs as an array: all of an array's, of batches the first `rows`, without labels.

    Raises:
        InputError: there are none.
    """
    data = entered(data, name, labelled=False)
    if isinstance(data, tuple):
        return data[0]
    if are_arrays(data):
        return data
    held: list = []
    for batch in _each(data):
        held.append(np.asarray(batch[0] if isinstance(batch, tuple | list) else batch))
        if sum(map(len, held)) >= rows:
            break
    if not held:
        raise InputError(f"`{name}`: has no batches")
    return np.concatenate(held)[:rows]


def _each(data: Any) -> Iterator:
    """The batches, once; a `PyDataset` also has a form that never ends."""
    if isinstance(data, keras.utils.PyDataset):
        return (data[k] for k in range(data.num_batches))
    return iter(data)


def _pair(batch: Any, name: str) -> tuple[Any, np.ndarray]:
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise InputError(f"`{name}`: needs labels, as in (images, labels)")
    return batch[0], class_numbers(batch[1], None, f"{name} labels")


def _joined(pairs: list) -> tuple[Any, np.ndarray]:
    inputs, labels = zip(*pairs, strict=True)
    whole = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *inputs)
    return keras.tree.map_structure(_array, whole), np.concatenate(labels)


def _array(value: Any, count: int | None = None) -> Any:
    """Lists of rows as one array, and texts as a tensor; several inputs one by one.

    `count` is the number of rows, if known.
    """
    if isinstance(value, dict):
        return {key: _array(item, count) for key, item in value.items()}
    if isinstance(value, tuple | list):
        several = bool(value) and all(getattr(item, "shape", ()) for item in value)
        if several and (count is None or all(len(item) == count for item in value)):
            return type(value)(_array(item, count) for item in value)
        value = np.asarray(value)
    if not hasattr(value, "shape"):
        value = np.asarray(value)
    # Keras takes texts as tensors only.
    is_text = isinstance(value, np.ndarray) and value.dtype.kind in "OSU"
    return keras.ops.convert_to_tensor(value, "string") if is_text else value


def _check_batched(data: Any, name: str) -> None:
    spec = getattr(data, "element_spec", None)
    for leaf in [] if spec is None else keras.tree.flatten(spec):
        rank = getattr(getattr(leaf, "shape", None), "rank", 1)
        if rank is None:
            raise InputError(f"`{name}`: has unknown shapes; give its generator's output_signature")
        if not rank:
            raise InputError(f"`{name}`: isn't batched; call batch(…) on it first")
