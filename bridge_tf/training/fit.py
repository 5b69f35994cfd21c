"""`compile` and `fit` with checkpoints, and a stop when the training diverges."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Sequence

import keras

from bridge_tf.training.callbacks.checkpoints import Checkpoints, EpochSeeds
from bridge_tf.training.callbacks.divergence import Diverged, DivergenceWatch
from bridge_tf.training.distribution import multihost
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.utils import signals
from bridge_tf.utils.errors import TrainingError
from bridge_tf.utils.terminal import logger

_RETRIES = 4


def fit(
    model,
    data,
    recipe,
    *,
    loss=None,
    metrics=None,
    batch_size: int = 128,
    steps_per_epoch: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: str | os.PathLike | Checkpoints | None = None,
    devices: Devices | None = None,
    class_weight: dict[int, float] | None = None,
) -> keras.callbacks.History:
    """Compiles and fits `model` with a `Recipe`.

    Args:
        data: batches, or arrays: a tuple (inputs, targets) or (inputs, targets, sample weights), or
            only inputs. It may be a function of the number of finished steps that returns the
            batches of the remaining steps.
        batch_size: for arrays.
        steps_per_epoch: needed if `data` is endless, a function, or spans all epochs.
        callbacks: additional Keras callbacks.
        checkpoint_dir: folder of checkpoints, from which an interrupted training resumes, or a
            `Checkpoints`. It resumes within an epoch, and bit-identically, only if `data` is a
            function; arrays are shuffled again. Remove the folder once the model is saved.
        devices: the devices that share each batch; then build `model` from the result of `shared`.
            With several processes, all of them need a checkpoint, and only those of epochs count.
        class_weight: as in Keras's `fit`, for all classes.

    Raises:
        InputError: another process of `devices` is about to train something else.
        TrainingError: the training diverged (see `DivergenceWatch`), and retries are off or four of
            them failed. A retry starts from the last epoch's checkpoint at half the rate.
    """
    arrays = isinstance(data, tuple) or hasattr(data, "shape")
    if steps_per_epoch is None:
        size = len(data[0] if isinstance(data, tuple) else data)
        steps_per_epoch = math.ceil(size / batch_size) if arrays else size
    if checkpoint_dir is not None and not isinstance(checkpoint_dir, Checkpoints):
        checkpoint_dir = Checkpoints(checkpoint_dir)
    training = _Training(
        model,
        data,
        recipe,
        steps_per_epoch,
        batch_size if arrays else None,
        callbacks,
        checkpoint_dir,
        devices,
        class_weight,
    )
    if training.several:
        multihost.agree([], recipe, steps_per_epoch)
    while True:
        try:
            return training.run(loss=loss, metrics=metrics)
        except Diverged as error:
            training.go_back(error)
        except Exception as error:
            gone = multihost.gone(error) if training.several else None
            if gone is None:
                raise
            raise gone from error


@dataclasses.dataclass(frozen=True)
class _Training:
    """The arguments of `fit`; `batch_size` is None unless `data` are arrays."""

    model: keras.Model
    data: object
    recipe: object
    steps_per_epoch: int
    batch_size: int | None
    callbacks: Sequence[keras.callbacks.Callback]
    checkpoints: Checkpoints | None
    devices: Devices | None
    class_weight: dict[int, float] | None

    @property
    def several(self) -> bool:
        """Whether other processes train the same model."""
        return self.devices is not None and self.devices.processes > 1

    def run(self, **compiling) -> keras.callbacks.History:
        """Trains from the newest checkpoint: the rest of an epoch, then the other epochs."""
        watch, done = self._prepare(**compiling)
        history = keras.callbacks.History()
        history.on_train_begin()
        with signals.held() if self.checkpoints else contextlib.nullcontext():
            for first, end, steps in self._pieces(done):
                data = self.data(done) if callable(self.data) else self.data
                if self.devices is not None:
                    data = self.devices.share(data, self.batch_size)
                arrays = data if isinstance(data, tuple) else (data,)
                inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(arrays)
                fitted = self.model.fit(
                    inputs,
                    targets,
                    sample_weight=weights,
                    class_weight=self.class_weight,
                    batch_size=self.batch_size,
                    epochs=end,
                    initial_epoch=first,
                    steps_per_epoch=None if self.batch_size else steps,
                    shuffle=bool(self.batch_size),
                    callbacks=[EpochSeeds(), *self.callbacks, *watch],
                    verbose=0,
                )
                done += (end - first - 1) * self.steps_per_epoch + steps
                history.epoch += fitted.epoch
                for name, values in fitted.history.items():
                    history.history.setdefault(name, []).extend(values)
        return history

    def _prepare(self, **compiling) -> tuple[list, int]:
        """Compiles and restores the newest checkpoint; returns callbacks and finished steps."""
        checkpoints = self.checkpoints
        within_epochs = callable(self.data) and not self.several
        checkpoint = checkpoints and checkpoints.newest(epochs_only=not within_epochs)
        if checkpoints and self.several:
            checkpoint = multihost.common(checkpoints.read(epochs_only=True))
            checkpoints.forget_after(checkpoint)
        retries = checkpoint.notes.get("retries", []) if checkpoint else []
        peak = self.recipe.learning_rate / 2 ** len(retries)
        recipe = dataclasses.replace(self.recipe, learning_rate=peak)
        self.model.compile(
            optimizer=recipe.optimizer(self.steps_per_epoch),
            jit_compile=recipe.compiles(self.model)
            and (self.devices is None or self.devices.compiles),
            **compiling,
        )
        if checkpoints is None:
            return [DivergenceWatch({})], 0
        checkpoints.within_epochs = within_epochs
        checkpoints.restore(self.model, checkpoint)
        if checkpoint is None:
            checkpoints.write(self.model, "epoch-0")
        # Checkpoints come last, so that a diverged step writes none.
        return [DivergenceWatch(checkpoints.notes), checkpoints], checkpoints.step

    def _pieces(self, done: int) -> list[tuple[int, int, int]]:
        """First epoch, last epoch and steps per epoch of each call of Keras's `fit`."""
        epoch, within = divmod(done, self.steps_per_epoch)
        pieces = [(epoch, self.recipe.epochs, self.steps_per_epoch)]
        if within:
            rest = self.steps_per_epoch - within
            pieces = [(epoch, epoch + 1, rest), (epoch + 1, *pieces[0][1:])]
        return [piece for piece in pieces if piece[0] < piece[1]]

    def go_back(self, error: Diverged) -> None:
        """Prepares a retry from the last epoch at half the rate, or raises a TrainingError."""
        checkpoints = self.checkpoints
        if checkpoints is None:
            raise TrainingError(f"{error}; try a lower `learning_rate`") from error
        last = checkpoints.newest(epochs_only=True)
        retries = checkpoints.notes.get("retries", [])
        after = f" after {len(retries)} retries" if retries else ""
        place = f"the last good checkpoint is {last.name}.npz" if last else "no checkpoint is left"
        told = f"{error}{after}; {place} in {checkpoints.folder}"
        lower = "with a lower `learning_rate` in another `workdir`"
        if last is None or len(retries) == _RETRIES:
            raise TrainingError(f"{told}; train {lower}") from error
        if checkpoints.on_divergence == "stop":
            raise TrainingError(
                f"{told}; run again with `on_divergence=retry`, or {lower}"
            ) from error
        checkpoints.roll_back({"retries": [*retries, str(error)]})
        logger.warning(
            f"{error}; back to the end of epoch {last.name.partition('-')[2]}, at half the rate"
        )
