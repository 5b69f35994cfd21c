"""Telling a training that diverges, before it spoils anything."""

import math

import keras
import numpy as np

# Guessing among 22,000 classes costs as much; a training that begins higher may stay there.
_HIGH = 10.0
_FACTOR = 10.0


class Diverged(ArithmeticError):
    """A loss or a weight isn't a finite number, or a loss has grown out of all bounds.

    The message says what was seen, in which step and epoch, and at which learning rate.
    """


class DivergenceWatch(keras.callbacks.Callback):
    """Raises `Diverged` after the first step whose mean loss is infinite or not a number, and
    after an epoch with such weights, or whose mean loss is above 10 nats and above ten times the
    first epoch's.

    Args:
        notes: where the first epoch's loss is kept, so that a checkpoint can hold it.
    """

    def __init__(self, notes: dict):
        super().__init__()
        self.notes = notes

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise Diverged(self._text(f"the loss became {loss}"))

    def on_epoch_end(self, epoch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        first = self.notes.setdefault("first_loss", loss)
        if loss > _HIGH and loss > _FACTOR * first:
            raise Diverged(self._text(f"the loss grew from {first:.3g} to {loss:.3g}"))
        for variable in getattr(self.model, "changing_variables", self.model.weights):
            if not np.isfinite(keras.ops.convert_to_numpy(variable).astype("float32")).all():
                raise Diverged(self._text(f"the weight {variable.path} became infinite"))

    def _text(self, what: str) -> str:
        optimizer = self.model.optimizer
        step = int(keras.ops.convert_to_numpy(optimizer.iterations))
        optimizer.iterations.assign(step - 1)  # the rate of the step that is done, not of the next
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        optimizer.iterations.assign(step)
        return f"{what} in step {step} (epoch {self._epoch + 1}, learning rate {rate:.3g})"
