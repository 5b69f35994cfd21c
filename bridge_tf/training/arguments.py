"""Checks of what `fit` is given, before anything is trained."""

import math
from collections.abc import Iterator
from typing import Any

import keras

from bridge_tf.data.inputs import (
    are_arrays,
    check_finite,
    entered,
    has_soft_labels,
    is_function,
    number_of_batches,
    shape_of_labels,
)
from bridge_tf.training.optimizers import fresh_optimizer, has_schedule
from bridge_tf.utils.errors import InputError

_SET_THE_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


def checked(callbacks: Any, optimizer: Any, verbose: str | int) -> list[keras.callbacks.Callback]:
    """The callbacks as a list.

    Raises:
        InputError: one isn't a Keras callback, or sets the learning rate where a schedule does; or
            the optimizer or `verbose` can't be used.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise InputError(f'`verbose` must be 0, 1, 2 or "auto". Received: verbose={verbose!r}')
    if optimizer is not None:
        fresh_optimizer(optimizer)
    callbacks = listed(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise InputError(
                f"`callbacks` must be Keras callbacks. Received: {type(callback).__name__}"
            )
        if isinstance(callback, _SET_THE_RATE) and has_schedule(optimizer):
            raise InputError(
                f"`callbacks`: {type(callback).__name__} can't set the learning rate, which a "
                "schedule sets; leave it out, or give an `optimizer` whose learning rate is a "
                "number"
            )
    return callbacks


def listed(callbacks: Any) -> list:
    """Callbacks as a list: of several, of a single one, or of none."""
    if callbacks is None:
        return []
    return [*callbacks] if isinstance(callbacks, list | tuple) else [callbacks]


def entered_for_training(
    data: Any, batch_size: int, steps_per_epoch: int | None, labelled: bool
) -> tuple[Any, int]:
    """The data as Keras takes them, and the number of steps in an epoch.

    Raises:
        InputError: the data can't be used, or `steps_per_epoch` is needed or wrong.
    """
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise InputError(
            f"`steps_per_epoch` must be at least 1. Received: steps_per_epoch={steps_per_epoch}"
        )
    if is_function(data):
        if steps_per_epoch is None:
            raise InputError("`steps_per_epoch`: is needed, since `data` is a function")
        return data, steps_per_epoch
    data = entered(data, "data", labelled)
    if labelled and shape_of_labels(data) == ():
        raise InputError("`data`: needs labels beside the inputs, as in (images, labels)")
    if are_arrays(data):
        if batch_size < 1:
            raise InputError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
        rows = keras.tree.flatten(data)[0].shape[0]
        steps = math.ceil(rows / batch_size)
        if steps_per_epoch not in (None, steps):
            raise InputError(
                f"`steps_per_epoch={steps_per_epoch}`: is for batches; {rows} rows make {steps} "
                f"steps of `batch_size={batch_size}`, leave it out"
            )
        return data, steps
    found = number_of_batches(data)
    if found == 0:
        raise InputError("`data`: has no batches")
    if steps_per_epoch is None:
        if found is None or found == math.inf:
            why = "never end" if found else "are of unknown number"
            raise InputError(f"`steps_per_epoch`: is needed, since the batches of `data` {why}")
        return data, int(found)
    # Keras would stop the epoch in which the data end.
    if hasattr(data, "repeat") and (found is None or found % steps_per_epoch):
        data = data.repeat()
    return data, steps_per_epoch


def checked_validation(data: Any, train: Any, labelled: bool, devices: Any) -> Any:
    """Validation data as Keras takes them.

    Raises:
        InputError: they can't be read in each epoch, or have labels unlike those of `train`.
    """
    if devices is not None:
        raise InputError("`validation_data`: is measured on one device; leave out `devices`")
    data = check_finite(
        entered(data, "validation_data", labelled), "validation_data", "give a part by take(…)"
    )
    if isinstance(data, Iterator):
        raise InputError(
            "`validation_data`: is read in each epoch, which a generator can't be; give arrays, a "
            "tf.data.Dataset or a keras.utils.PyDataset"
        )
    known = labelled and None not in (shape_of_labels(data), shape_of_labels(train))
    if known and has_soft_labels(data) != has_soft_labels(train):
        raise InputError(
            "`validation_data`: must have labels like those of `data`, all integers or all one-hot"
        )
    return data
