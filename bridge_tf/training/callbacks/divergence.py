"""Detection of a diverging training, before it writes anything."""

import math

import keras
import numpy as np

# The loss of a random guess among 22,000 classes. A training that starts higher may stay there.
_HIGH = 10.0
_FACTOR = 10.0


class Diverged(ArithmeticError):
    """A training diverged; the message gives the value, step, epoch and learning rate."""


class DivergenceWatch(keras.callbacks.Callback):
    """Raises `Diverged` when a training diverges.

    It does so after a step whose mean loss, or an epoch whose weights, are infinite or NaN, and
    after an epoch whose mean loss is above 10 nats and ten times that of the first, kept in
    `notes`.
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
        optimizer.iterations.assign(step - 1)  # for the rate of the finished step, not of the next
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        optimizer.iterations.assign(step)
        return f"{what} in step {step} (epoch {self._epoch + 1}, learning rate {rate:.3g})"
