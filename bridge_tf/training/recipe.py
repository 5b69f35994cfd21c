"""One recipe, by which modes, curves and bridges are all trained."""

import dataclasses
from typing import Any

import keras


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

    def __init__(self, learning_rate: Any = 0.01, l2: float = 0.0, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)
        self.l2 = float(l2)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        if self.l2:
            gradient = gradient + keras.ops.cast(self.l2, gradient.dtype) * variable
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2}
