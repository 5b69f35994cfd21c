"""One recipe, by which modes, curves and bridges are all trained."""

import dataclasses
import os

import keras

from bridge_tf.bridge_training import BridgeTraining
from bridge_tf.classifier import ends_in_softmax
from bridge_tf.curve import Curve
from bridge_tf.curve_path import CurvePath
from bridge_tf.devices import Devices, shared
from bridge_tf.fitting import fit


@dataclasses.dataclass(frozen=True)
class Recipe:
    """SGD with momentum, linear warm-up, then cosine decay to 0 (the paper's, METHOD's table).

    Attributes:
        epochs: passes over the training images.
        learning_rate: the peak, after the warm-up.
        momentum: of SGD, in [0, 1).
        nesterov: whether the momentum is Nesterov's.
        weight_decay: L2 in the gradient, on every trained weight.
        warmup_epochs: epochs of linear rise from 1 % of the peak; at most `epochs` count.
        seed: of the draws that training makes (initial weights in `fit_modes`, dropout).
        jit_compile: compile the step with XLA.
    """

    epochs: int = 200
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-3
    warmup_epochs: float = 5
    seed: int = 0
    jit_compile: bool = True

    def optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        """The optimizer for a training of `epochs` × `steps_per_epoch` steps."""
        total = max(1, self.epochs * steps_per_epoch)
        warmup = min(round(self.warmup_epochs * steps_per_epoch), total - 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            self.learning_rate * (0.01 if warmup else 1.0),
            decay_steps=total - warmup,
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        return L2SGD(schedule, momentum=self.momentum, nesterov=self.nesterov, l2=self.weight_decay)


@keras.saving.register_keras_serializable(package="bridge_tf")
class L2SGD(keras.optimizers.SGD):
    """SGD with `l2` × weight added to the gradient, before the momentum.

    Keras's own `weight_decay` is the decoupled one, which the momentum doesn't see. Here rather
    than as a regularizer of the layers, so that it acts on whatever is trained: the weights of a
    mode, the control points of a curve, a bridge.
    """

    def __init__(self, learning_rate=0.01, l2: float = 0.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.l2 = float(l2)

    def update_step(self, gradient, variable, learning_rate):
        if self.l2:
            gradient = gradient + keras.ops.cast(self.l2, gradient.dtype) * variable
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}


def fit_modes(build, data, num_modes: int, recipe: Recipe, **options) -> list:
    """Trains `num_modes` networks, mode k from seed `recipe.seed` + k.

    Args:
        build: called without arguments, gives a fresh classifier.
        data, **options: as in `fit_mode`; checkpoints of mode k are kept in `backup_dir`/k, so
            that `backup_dir` must be a path here.

    Returns:
        The trained networks.
    """
    modes = []
    backup_dir = options.pop("backup_dir", None)
    for k in range(num_modes):
        keras.utils.set_random_seed(recipe.seed + k)
        modes.append(build())
        backup = None if backup_dir is None else os.path.join(backup_dir, str(k))
        fit_mode(modes[-1], data, recipe, backup_dir=backup, **options)
    return modes


def fit_mode(
    model, data, recipe: Recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains one classifier on its cross-entropy, in place.

    Args:
        model: a classifier with logits or a softmax as output.
        data: batches of (images, integer labels), or a tuple of two arrays.
        recipe: how to train.
        devices: what shares each batch; by default one device. The model isn't compiled then.
        **options: as in `fit`. `loss` is needed for a subclassed model that ends in a softmax,
            which can't be seen from outside.
    """
    with shared(model, devices) as model:
        return fit_classifier(model, data, recipe, devices=devices, **options)


def fit_curve(
    curve: Curve, data, recipe: Recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains a curve's inner control points on the cross-entropy at r ~ U(0, 1), in place.

    Arguments as in `fit_mode`.
    """
    with shared(curve, devices) as curve:
        return fit_classifier(curve, data, recipe, devices=devices, **options)


def fit_bridge(
    bridge,
    base,
    member,
    data,
    recipe: Recipe,
    *,
    end=None,
    repulsion: float = 0.0,
    label_share: float = 0.0,
    devices: Devices | None = None,
    **options,
) -> keras.callbacks.History:
    """Trains a bridge to answer as `member` does, in place; see `BridgeTraining`.

    Args:
        member: the curve member, from `Curve.model_at`; for a conditioned bridge the curve's
            members at all r, from `Curve.path`.
        data: batches of images; the paper mixes them. Labels, if there are any, are read only
            with a `label_share`.
        recipe, devices, **options: as in `fit_mode`.
    """
    with shared(bridge, devices) as bridge:
        if devices is not None and isinstance(member, CurvePath):
            member = member.copy()  # as all else that the training reads is copied
        model = BridgeTraining(bridge, base, member, end, repulsion, label_share, seed=recipe.seed)
        return fit(model, data, recipe, devices=devices, **options)


def fit_classifier(model, data, recipe: Recipe, **options) -> keras.callbacks.History:
    """As `fit_mode` or `fit_curve`, of a model that is on the devices already, see `shared`."""
    network = model.network if isinstance(model, Curve) else model
    return fit(model, data, recipe, **(_classification(network) | options))


def _classification(model) -> dict:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not ends_in_softmax(model))
    return {"loss": loss, "metrics": ["accuracy"]}
