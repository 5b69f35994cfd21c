"""Training of modes and curves with `compile` and `fit`."""

import os
from collections.abc import Callable
from typing import Any

import keras

from bridge_tf.curves.curve import Curve
from bridge_tf.networks.classifier import check_exclusive, gives_probabilities, num_units
from bridge_tf.training.distribution.devices import Devices, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.recipe import Recipe
from bridge_tf.training.targets import ClassWeight, build_on, check_targets, class_weights
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
    class_weight: ClassWeight = None,
    **options: Any,
) -> keras.callbacks.History:
    """Trains a classifier with cross-entropy, in place.

    Args:
        model: a classifier with logits or probabilities as output, N×classes, or N×1 for two
            classes. It is compiled with Keras's own SGD at the end, so that a saved model needs
            Keras alone.
        data: batches of (images, integer labels), or a tuple of two arrays; sample weights may come
            third.
        devices: the devices that share each batch; default: one device.
        class_weight: the weight of each class in the loss, a dict as Keras's `fit` takes it, or
            "balanced" for N / (classes · count); not with sample weights. Accuracies stay
            unweighted.
        **options: as in `fit`.

    Raises:
        InputError: the model can't be copied later, see `check_copyable`; it is a multi-label
            classifier; or labels or weights are invalid.
    """
    check_copyable(model)
    build_on(model, data)
    options = _labelled(model, data, class_weight, options)
    with shared(model, devices) as trained:
        history = fit(trained, data, recipe, devices=devices, **(classification(trained) | options))
    options = classification(model) | options
    # A saved mode is loaded where only Keras is, which doesn't know the recipe's optimizer.
    model.compile(
        keras.optimizers.SGD(recipe.learning_rate, recipe.momentum, recipe.nesterov),
        loss=options["loss"],
        metrics=options["metrics"],
        jit_compile=recipe.compiles(model),
    )
    return history


def fit_curve(
    curve: Curve,
    data: Any,
    recipe: Recipe,
    *,
    devices: Devices | None = None,
    class_weight: ClassWeight = None,
    **options: Any,
) -> keras.callbacks.History:
    """Trains inner control points with cross-entropy at r ~ U(0, 1), in place, as in `fit_mode`."""
    options = _labelled(curve.network, data, class_weight, options)
    with shared(curve, devices) as curve:
        return fit(
            curve, data, recipe, devices=devices, **(classification(curve.network) | options)
        )


def classification(network: keras.Layer) -> dict[str, Any]:
    """The loss and metrics of a classifier, as options of `fit`; InputError if it is multi-label.

    Metrics are of the devices in whose scope this is called.
    """
    from_logits = not gives_probabilities(network)
    if num_units(network) != 1:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        return {"loss": loss, "metrics": ["accuracy"]}
    # Keras's "accuracy" of a single unit takes it for a probability.
    accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0 if from_logits else 0.5)
    return {
        "loss": keras.losses.BinaryCrossentropy(from_logits=from_logits),
        "metrics": [accuracy],
    }


def _labelled(
    network: keras.Layer, data: Any, class_weight: ClassWeight, options: dict[str, Any]
) -> dict[str, Any]:
    """The options of `fit` with weights of classes, once labels and weights are checked."""
    units = num_units(network)
    check_exclusive(network)
    if "loss" not in options:  # a loss of one's own may take other labels
        check_targets(data, units)
    weights = class_weights(class_weight, data, 2 if units == 1 else units)
    return options if weights is None else options | {"class_weight": weights}
