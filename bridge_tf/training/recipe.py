"""The training recipe of modes, curves and bridges."""

import dataclasses
from typing import Any, Literal

import keras

from bridge_tf.config.fields import PRECISIONS
from bridge_tf.training.cpu_kernels import has_accelerator
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import supports_jit


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The recipe of the paper: SGD with momentum, linear warm-up, then cosine decay to 0.

    Args:
        epochs: number of passes over the training images, ≥ 0.
        learning_rate: the peak, after the warm-up, > 0.
        momentum: of SGD, in [0, 1).
        nesterov: whether the momentum is Nesterov's.
        weight_decay: factor ≥ 0 of the L2 term in the gradient of every trained weight.
        warmup_epochs: epochs of linear increase from 1 % of the peak, at most `epochs`.
        label_smoothing: in [0, 1): share of the uniform distribution in the labels of modes and
            curves (Szegedy et al., CVPR 2016).
        seed: of random draws in training (initial weights in `fit_modes`, dropout).
        jit_compile: whether to compile the step with XLA, if all layers support that; random
            augmentations and lookup layers, for example, don't. "auto": on GPUs, TPUs and JAX; on
            CPUs TensorFlow's own kernels are faster.
        precision: "float32", or "mixed_bfloat16": layers compute in bfloat16, with weights, the
            scaling of pixels, the outputs and the loss in float32. Trained models are of float32.

    Example::

        recipe = bridge_tf.Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0)
    """

    epochs: int = 200
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-3
    warmup_epochs: float = 5
    label_smoothing: float = 0.0
    seed: int = 0
    jit_compile: bool | Literal["auto"] = "auto"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(
                "`label_smoothing` must lie in [0, 1). "
                f"Received: label_smoothing={self.label_smoothing}"
            )
        if self.precision not in PRECISIONS:
            raise InputError(
                f"`precision` must be one of {', '.join(PRECISIONS)}. "
                f"Received: precision={self.precision}"
            )

    def compiles(self, model: keras.Model) -> bool:
        """Whether XLA compiles the training step of a model.

        Args:
            model: a built Keras model.
        """
        compiles = self.jit_compile
        if compiles == "auto":
            compiles = keras.backend.backend() != "tensorflow" or has_accelerator()
        return bool(compiles) and supports_jit(model)

    def optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        """The optimizer for a training of `epochs` × `steps_per_epoch` steps.

        Args:
            steps_per_epoch: number of steps in an epoch, ≥ 1.
        """
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
    """SGD that adds `l2` × weight to the gradient of every trained weight, before the momentum.

    Keras's own `weight_decay` is decoupled: the momentum doesn't include it. A regularizer of
    layers would miss the control points of a curve.
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
