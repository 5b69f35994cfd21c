"""Stochastic weight averaging (Izmailov et al., UAI 2018)."""

import dataclasses

import keras
from keras import ops

from bridge_tf.curves.batch_norm import reestimate_batch_norm
from bridge_tf.training.distribution.devices import Devices, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.recipe import L2SGD, Recipe
from bridge_tf.training.trainers import classification

# The last quarter of the training, at half the peak rate (section 4.1 of the paper).
_SHARE, _RATE = 0.25, 0.5
_FEWEST = 10  # minimum number of averaged sets of weights


@dataclasses.dataclass(frozen=True)
class SwaRecipe(Recipe):
    """The recipe's warm-up, a cosine from its peak to half of it, then a constant learning rate.

    Weights are averaged over the last quarter: after each epoch, or ten times if it has fewer.
    """

    def optimizer(self, steps_per_epoch: int) -> keras.optimizers.Optimizer:
        total = max(1, self.epochs * steps_per_epoch)
        start = round((1 - _SHARE) * total)
        warmup = max(0, min(round(self.warmup_epochs * steps_per_epoch), start - 1))
        schedule = keras.optimizers.schedules.CosineDecay(
            self.learning_rate * (0.01 if warmup else 1.0),
            decay_steps=max(1, start - warmup),
            alpha=_RATE,
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        every = max(1, min(steps_per_epoch, (total - start) // _FEWEST))
        return AveragingSGD(
            schedule,
            start=start,
            every=every,
            momentum=self.momentum,
            nesterov=self.nesterov,
            l2=self.weight_decay,
        )


@keras.saving.register_keras_serializable(package="bridge_tf")
class AveragingSGD(L2SGD):
    """`L2SGD` with a running mean of the weights: after step `start`, at every `every` steps."""

    def __init__(self, learning_rate=0.01, start: int = 0, every: int = 1, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.start, self.every = start, every

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.averages = [
                self.add_variable_from_reference(variable, name="average") for variable in variables
            ]

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)
        # `iterations` increases after all variables are updated.
        late = ops.cast(self.iterations, "int32") + 1 - self.start
        number = late // self.every
        taken = ops.logical_and(late > 0, ops.equal(late % self.every, 0))
        average = self.averages[self._get_variable_index(variable)]
        share = ops.where(taken, 1 / ops.cast(ops.maximum(number, 1), "float32"), 0.0)
        share = ops.cast(share, average.dtype)
        self.assign(average, average + share * (ops.cast(variable, average.dtype) - average))

    def assign_averages(self, variables) -> None:
        """Assigns the means to the trained variables, if there are any means."""
        if int(ops.convert_to_numpy(self.iterations)) >= self.start + self.every:
            for variable, average in zip(variables, self.averages, strict=True):
                variable.assign(average)

    def get_config(self):
        return {**super().get_config(), "start": self.start, "every": self.every}


def fit_swa(
    model, data, recipe: SwaRecipe, statistics, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains a classifier and assigns the mean of its last weights, in place.

    `statistics` are batches of training images, on which batch-norm statistics are re-estimated.
    The other arguments are as in `bridge_tf.fit_mode`.
    """
    with shared(model, devices) as trained:
        options = classification(trained, label_smoothing=recipe.label_smoothing) | options
        history = fit(trained, data, recipe, devices=devices, **options)
        trained.optimizer.assign_averages(trained.trainable_variables)
    reestimate_batch_norm(model, statistics)
    return history
