"""Training of modes and curves with `compile` and `fit`."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import keras

from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.curves.curve import Curve
from bridge_tf.data.inputs import entered, has_soft_labels, is_function
from bridge_tf.networks.classifier import check_exclusive, gives_probabilities, num_units
from bridge_tf.training.arguments import listed
from bridge_tf.training.distribution.devices import Devices, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.losses import SparseSmoothedCrossentropy
from bridge_tf.training.optimizers import fresh_optimizer
from bridge_tf.training.recipe import Recipe
from bridge_tf.training.targets import ClassWeight, build_on, check_targets, class_weights
from bridge_tf.utils.docstrings import takes_options_of
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import check_copyable
from bridge_tf.utils.terminal import logger

# Each of them writes one file or folder, in which modes would replace each other.
_WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


@takes_options_of(fit)
def fit_modes(
    build: Callable[[], keras.Model], data: Any, num_modes: int, recipe: Recipe, **options: Any
) -> list[keras.Model]:
    """Trains and returns `num_modes` networks, mode k from seed `recipe.seed` + k.

    Args:
        build: a function without arguments that returns a new classifier, as for `fit_mode`.
        data: as for `fit_mode`; read once for each mode, so not a generator.
        num_modes: number of networks, ≥ 1.
        recipe: as for `fit_mode`.
        callbacks: as for `fit_mode`, or a function from k to those of mode k.
        class_weight: as for `fit_mode`.
        checkpoint_dir: a folder; checkpoints of mode k are in `checkpoint_dir`/k.
        devices: as for `fit_mode`.
        **options: as in `fit`.

    Raises:
        InputError: as `fit_mode`; or callbacks that write files would do so for several modes.

    Example::

        modes = bridge_tf.fit_modes(build, (images, labels), 2, recipe, batch_size=64)
    """
    if num_modes < 1:
        raise InputError(f"`num_modes` must be at least 1. Received: num_modes={num_modes}")
    callbacks = options.pop("callbacks", None)
    if num_modes > 1:
        _check_for_several(data, callbacks)
    modes = []
    checkpoint_dir = options.pop("checkpoint_dir", None)
    for k in range(num_modes):
        keras.utils.set_random_seed(recipe.seed + k)
        modes.append(build())
        folder = None if checkpoint_dir is None else os.path.join(checkpoint_dir, str(k))
        own = callbacks(k) if callable(callbacks) else callbacks
        fit_mode(modes[-1], data, recipe, checkpoint_dir=folder, callbacks=own, **options)
    return modes


def _check_for_several(data: Any, callbacks: Any) -> None:
    if isinstance(data, Iterator):
        raise InputError(
            "`data`: is read once for each mode, which a generator can't be; give arrays, a "
            "tf.data.Dataset or a keras.utils.PyDataset"
        )
    for callback in listed(callbacks):
        if isinstance(callback, _WRITERS):
            raise InputError(
                f"`callbacks`: all modes would write to the place of {type(callback).__name__}; "
                "give a function from k to the callbacks of mode k"
            )


@takes_options_of(fit)
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
            classes. It is compiled at the end with Keras's own SGD, or with `optimizer`, so that a
            saved model needs Keras alone.
        data: (inputs, labels): a tuple of arrays, a `Split`, or batches: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator; sample weights, N, may come third. Labels are N
            integers, 0…classes-1, or N×classes probabilities, as one-hot ones; for an output N×1
            integers. It may be a function of the number of finished steps that returns the batches
            of the remaining steps.
        recipe: epochs, learning rate and so on, see `Recipe`.
        devices: the devices that share each batch; default: one device.
        class_weight: the weight of each class in the loss, a dict as Keras's `fit` takes it, or
            "balanced" for N / (classes · count); not with sample weights. Accuracies stay
            unweighted.
        **options: as in `fit`.

    Raises:
        InputError: an argument can't be used; the model is a multi-label classifier, or can't be
            copied later, which curves, bridges and exports need.
        TrainingError: the training diverged.

    Example::

        history = bridge_tf.fit_mode(
            network, (images, labels), recipe, validation_data=(images, labels), verbose=2
        )
        print(history.history["val_accuracy"])
    """
    check_copyable(model)
    data = _entered(data)
    build_on(model, data)
    options = _labelled(model, data, class_weight, options)
    with shared(model, devices) as trained:
        losses = classification(trained, data, recipe.label_smoothing)
        history = fit(trained, data, recipe, devices=devices, **(losses | options))
    options = classification(model, data) | options
    # A saved mode is loaded where only Keras is, which doesn't know the recipe's optimizer.
    own = options.get("optimizer")
    model.compile(
        keras.optimizers.SGD(recipe.learning_rate, recipe.momentum, recipe.nesterov)
        if own is None
        else fresh_optimizer(own),
        loss=options["loss"],
        metrics=options["metrics"],
        jit_compile=recipe.compiles(model),
    )
    return history


@takes_options_of(fit)
def fit_curve(
    curve: Curve,
    data: Any,
    recipe: Recipe,
    *,
    devices: Devices | None = None,
    class_weight: ClassWeight = None,
    **options: Any,
) -> keras.callbacks.History:
    """Trains a curve's inner control points with cross-entropy at r ~ U(0, 1), in place.

    Args:
        curve: from `Curve.between`.
        data: as for `fit_mode`.
        recipe: as for `fit_mode`.
        devices: the devices that share each batch; default: one device.
        class_weight: as for `fit_mode`.
        validation_data: as for `fit_mode`, measured at r = 0.5. Batch-norm statistics are then
            interpolated, which is approximate; measure `curve.model_at(0.5, images)` instead.
        **options: as in `fit`.

    Raises:
        InputError: an argument can't be used.
        TrainingError: the training diverged.

    Example::

        curve = bridge_tf.Curve.between(modes[0], modes[1])
        bridge_tf.fit_curve(curve, (images, labels), recipe, batch_size=64)
    """
    if options.get("validation_data") is not None and batch_norms(curve.network):
        logger.warning(
            "fit_curve: validation_data is measured with interpolated batch-norm statistics, so "
            "its figures are approximate; evaluate curve.model_at(r, images) for exact ones"
        )
    data = _entered(data)
    options = _labelled(curve.network, data, class_weight, options)
    with shared(curve, devices) as curve:
        losses = classification(curve.network, data, recipe.label_smoothing)
        return fit(curve, data, recipe, devices=devices, **(losses | options))


def classification(
    network: keras.Layer, data: Any = None, label_smoothing: float = 0.0
) -> dict[str, Any]:
    """The loss and metrics of a classifier for the labels in `data`, as options of `fit`.

    Metrics are of the devices in whose scope this is called.

    Raises:
        InputError: the network is a multi-label classifier.
    """
    from_logits = not gives_probabilities(network)
    if num_units(network) != 1:
        options = {"label_smoothing": label_smoothing} if label_smoothing else {}
        if has_soft_labels(data):
            kind = keras.losses.CategoricalCrossentropy
        elif label_smoothing:
            kind = SparseSmoothedCrossentropy
        else:
            kind = keras.losses.SparseCategoricalCrossentropy
        return {"loss": kind(from_logits=from_logits, **options), "metrics": ["accuracy"]}
    # Keras's "accuracy" of a single unit takes it for a probability.
    accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0 if from_logits else 0.5)
    return {
        "loss": keras.losses.BinaryCrossentropy(from_logits, label_smoothing),
        "metrics": [accuracy],
    }


def _entered(data: Any) -> Any:
    """`data` in the form that Keras takes, unless it is a function."""
    return data if is_function(data) else entered(data, "data")


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
