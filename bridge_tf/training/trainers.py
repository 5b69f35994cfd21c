"""Training of modes and curves with `compile` and `fit`."""

import os
from collections.abc import Callable
from typing import Any

import keras

from bridge_tf.curves.curve import Curve
from bridge_tf.networks.classifier import ends_in_softmax
from bridge_tf.training.distribution.devices import Devices, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.keras_utils import check_copyable


def fit_modes(
    build: Callable[[], keras.Model], data: Any, num_modes: int, recipe: Recipe, **options: Any
) -> list[keras.Model]:
    """Trains and returns `num_modes` networks, mode k from seed `recipe.seed` + k.

    `build` returns a new classifier. The others are as in `fit_mode`, but `checkpoint_dir` must be
    a path; checkpoints of mode k are in `checkpoint_dir`/k.
    """
    modes = []
    checkpoint_dir = options.pop("checkpoint_dir", None)
    for k in range(num_modes):
        keras.utils.set_random_seed(recipe.seed + k)
        modes.append(build())
        folder = None if checkpoint_dir is None else os.path.join(checkpoint_dir, str(k))
        fit_mode(modes[-1], data, recipe, checkpoint_dir=folder, **options)
    return modes


def fit_mode(
    model: keras.Model,
    data: Any,
    recipe: Recipe,
    *,
    devices: Devices | None = None,
    **options: Any,
) -> keras.callbacks.History:
    """Trains a classifier with cross-entropy, in place.

    Args:
        model: a classifier with logits or probabilities as output. It is compiled with Keras's own
            SGD at the end, so that a saved model needs Keras alone.
        data: batches of (images, integer labels), or a tuple of two arrays.
        devices: the devices that share each batch; default: one device.
        **options: as in `fit`.

    Raises:
        InputError: the model can't be copied later, see `check_copyable`.
    """
    check_copyable(model)
    options = classification(model) | options
    with shared(model, devices) as trained:
        history = fit(trained, data, recipe, devices=devices, **options)
    # A saved mode is loaded where only Keras is, which doesn't know the recipe's optimizer.
    model.compile(
        keras.optimizers.SGD(recipe.learning_rate, recipe.momentum, recipe.nesterov),
        loss=options["loss"],
        metrics=options["metrics"],
        jit_compile=recipe.compiles(model),
    )
    return history


def fit_curve(
    curve: Curve, data: Any, recipe: Recipe, *, devices: Devices | None = None, **options: Any
) -> keras.callbacks.History:
    """Trains inner control points with cross-entropy at r ~ U(0, 1), in place, as in `fit_mode`."""
    with shared(curve, devices) as curve:
        options = classification(curve.network) | options
        return fit(curve, data, recipe, devices=devices, **options)


def classification(network: keras.Layer) -> dict[str, Any]:
    """The loss and metrics of a classifier, as options of `fit`."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not ends_in_softmax(network))
    return {"loss": loss, "metrics": ["accuracy"]}
