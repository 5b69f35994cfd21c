"""The labels of a training and their weights, checked before it begins."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bridge_tf.data.inputs import has_soft_labels, shape_of_labels
from bridge_tf.data.labels import balanced_weights, check_labels, class_numbers
from bridge_tf.utils.errors import InputError

BALANCED = "balanced"
ClassWeight = Mapping[int, float] | str | None


def check_targets(data: Any, units: int | None) -> None:
    """Checks the labels and sample weights of a training.

    All of arrays are checked. Of batches, the shape is, and for a single output unit, whose loss
    takes any number, the first batch, unless they can be read only once.

    Args:
        data: as in `fit`.
        units: of the classifier's output; 1 for two classes; None if it isn't known.

    Raises:
        InputError: these are no numbers of classes, or a weight is negative or not finite.
    """
    if units != 1 and not isinstance(data, tuple):
        _check_columns(data, units)
        return
    if units == 1 and has_soft_labels(data):
        raise InputError(
            "labels of a classifier of one unit must be 0 or 1, one for each image; of one-hot "
            f"labels give labels.argmax(axis=-1). Received: shape {shape_of_labels(data)}"
        )
    batch = _first_batch(data)
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        return
    labels, *weights = map(ops.convert_to_numpy, batch[1:])
    check_labels(labels, 2 if units == 1 else units)
    for each in weights:
        if each.shape[:1] != labels.shape[:1] or not (np.isfinite(each) & (each >= 0)).all():
            raise InputError(
                "sample weights must be one finite number ≥ 0 for each image. "
                f"Received: {each.dtype} of shape {each.shape}"
            )


def build_on(model: keras.Model, data: Any) -> None:
    """Builds a model that isn't built yet on the first images, where these can be read again."""
    batch = None if model.built else _first_batch(data)
    if batch is None:
        return
    inputs = batch[0] if isinstance(batch, tuple | list) else batch
    if isinstance(model, keras.Sequential):
        model.build((None, *inputs.shape[1:]))  # for batches of any size
    else:
        model(keras.tree.map_structure(lambda x: ops.convert_to_tensor(x[:1]), inputs))


def _first_batch(data: Any) -> Any:
    """The first of batches; of arrays all. None if they are read only once."""
    if isinstance(data, tuple) or hasattr(data, "shape"):
        return data
    return None if callable(data) or iter(data) is data else next(iter(data), None)


def _check_columns(data: Any, units: int | None) -> None:
    """Raises an InputError if batches have labels of several columns, but not one a class."""
    shape = shape_of_labels(data)
    if units and has_soft_labels(data) and shape[1] not in (None, units):
        raise InputError(
            "labels must be the numbers of the classes, N, or have one column for each of "
            f"{units} classes. Received: batches of shape {shape}"
        )


def class_weights(
    class_weight: ClassWeight, data: Any, num_classes: int | None
) -> dict[int, float] | None:
    """The weights of all classes, as Keras's `fit` takes them.

    Args:
        class_weight: a weight ≥ 0 for each class, 1 for those left out; "balanced" for those of
            `balanced_weights`; None for none.
        data: as in `fit`; for "balanced", arrays.
        num_classes: of the classifier; None if it isn't known.

    Raises:
        InputError: these are no such weights, labels aren't there to be counted, or the data have
            sample weights too.
    """
    if class_weight is None:
        return None
    if _has_sample_weights(data):
        raise InputError(
            "`class_weight`: the data have sample weights; multiply these by the weights of the "
            "classes, and leave it out"
        )
    if class_weight == BALANCED:
        if not isinstance(data, tuple) or len(data) < 2:
            raise InputError(
                "`class_weight=balanced`: counts the labels of arrays; for batches, give a weight "
                "for each class, as {0: 1.0, 1: 3.0}"
            )
        class_weight = balanced_weights(class_numbers(data[1], num_classes))
    if not isinstance(class_weight, Mapping):
        raise InputError(f"`class_weight={class_weight}`: must be {BALANCED} or a dict")
    classes = range(num_classes or max(class_weight, default=0) + 1)
    for number, weight in class_weight.items():
        if number not in classes or not 0 <= weight < math.inf:
            raise InputError(
                f"`class_weight={dict(class_weight)}`: must have finite weights ≥ 0 of the classes "
                f"0 to {classes[-1]}"
            )
    return {number: float(class_weight.get(number, 1)) for number in classes}


def weighted_mean(losses: Any, sample_weight: Any = None) -> Any:
    """The mean over a batch of losses, N, each times its weight, N or N×1, as Keras has it."""
    if sample_weight is None:
        return ops.mean(losses)
    return ops.mean(losses * ops.reshape(ops.cast(sample_weight, losses.dtype), (-1,)))


def _has_sample_weights(data: Any) -> bool:
    batch = data if isinstance(data, tuple) else getattr(data, "element_spec", None)
    return isinstance(batch, tuple) and len(batch) == 3
