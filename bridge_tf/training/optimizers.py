"""Optimizers of one's own, in place of the recipe's."""

import json
from typing import Any

import keras

from bridge_tf.utils.errors import InputError, reason


def fresh_optimizer(optimizer: Any) -> keras.optimizers.Optimizer:
    """A new optimizer with the settings of `optimizer` and none of its state.

    Args:
        optimizer: a name that Keras knows, a configuration, or an instance.

    Raises:
        InputError: Keras can't make it, or not a second time.
    """
    try:
        found = keras.optimizers.get(optimizer)
        return type(found).from_config(found.get_config())
    except Exception as error:  # the user's code may raise any error
        raise InputError(
            "`optimizer` must be a name, or a Keras optimizer that its get_config makes again. "
            f"Received: optimizer={optimizer} ({reason(error)})"
        ) from error


def has_schedule(optimizer: Any) -> bool:
    """Whether a schedule sets the learning rate; None stands for the recipe's optimizer."""
    if optimizer is None:
        return True
    inner = keras.optimizers.get(optimizer)
    inner = getattr(inner, "inner_optimizer", inner)
    return isinstance(inner.get_config().get("learning_rate"), dict)


def described(optimizer: Any) -> str:
    """The settings of an optimizer as text, to tell one from another."""
    config = keras.saving.serialize_keras_object(fresh_optimizer(optimizer))
    return json.dumps(_nameless(config), sort_keys=True, default=str)


def _nameless(config: Any) -> Any:
    """A configuration without names, in which Keras counts."""
    if not isinstance(config, dict):
        return config
    return {key: _nameless(value) for key, value in config.items() if key != "name"}
