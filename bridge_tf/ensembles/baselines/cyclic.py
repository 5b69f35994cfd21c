"""Cyclic learning rates for fast geometric ensembling (Garipov et al., NeurIPS 2018)."""

import dataclasses
import math

import keras
from keras import ops

from bridge_tf.training.recipe import L2SGD, Recipe

# Highest and lowest rate of a cycle, relative to the recipe's peak: the paper's, for a peak of 0.1.
_HIGH, _LOW = 0.5, 0.005


def cycle_epochs(mode_epochs: int) -> int:
    """Epochs of a cycle, in proportion to the paper's 4 of 200."""
    return math.ceil(mode_epochs / 50)


@dataclasses.dataclass(frozen=True)
class CyclicRecipe(Recipe):
    """One cycle (section 4.3 of the paper): linear from the lowest rate to the highest and back."""

    def optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        steps = max(1, self.epochs * steps_per_epoch)
        schedule = Triangle(_LOW * self.learning_rate, _HIGH * self.learning_rate, steps)
        return L2SGD(schedule, momentum=self.momentum, nesterov=self.nesterov, l2=self.weight_decay)


@keras.saving.register_keras_serializable(package="bridge_tf")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from `low` to `high` in half of `steps`, and back."""

    def __init__(self, low: float, high: float, steps: int):
        self.low, self.high, self.steps = low, high, steps

    def __call__(self, step):
        place = ops.cast(step, "float32") / self.steps
        return self.low + (self.high - self.low) * (1 - ops.abs(1 - 2 * place))

    def get_config(self):
        return {"low": self.low, "high": self.high, "steps": self.steps}
