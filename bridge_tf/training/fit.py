"""`compile` and `fit` with checkpoints, and a stop when the training diverges."""

import contextlib
import dataclasses
import os
from collections.abc import Sequence

import keras

from bridge_tf.data.inputs import are_arrays
from bridge_tf.training.arguments import checked, checked_validation, entered_for_training
from bridge_tf.training.callbacks.checkpoints import Checkpoints, EpochSeeds
from bridge_tf.training.callbacks.divergence import Diverged, DivergenceWatch
from bridge_tf.training.callbacks.enough_data import EnoughData
from bridge_tf.training.cpu_kernels import cpu_kernels
from bridge_tf.training.distribution import multihost
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.training.optimizers import described, fresh_optimizer, has_schedule
from bridge_tf.training.precision import computing_in
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
    optimizer=None,
    batch_size: int = 128,
    steps_per_epoch: int | None = None,
    validation_data=None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = 0,
    checkpoint_dir: str | os.PathLike | Checkpoints | None = None,
    devices: Devices | None = None,
    class_weight: dict[int, float] | None = None,
) -> keras.callbacks.History:
    """Compiles and fits `model` with a `Recipe`.

    Args:
        model: a built Keras model; trained in place.
        data: a tuple (inputs, targets) or (inputs, targets, sample weights) of arrays, or only
            inputs, a `Split`, or batches of these: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator. It may be a function of the number of finished
            steps that returns the batches of the remaining steps.
        recipe: a `Recipe`.
        loss: in place of the cross-entropy; a Keras loss or its name.
        metrics: in place of the accuracy; a list of Keras metrics or their names.
        optimizer: in place of the recipe's, with its learning rate, momentum and weight decay: a
            name, as "adam", or a Keras optimizer. Each training has a new one with its settings.
        batch_size: rows of a batch, ≥ 1, for arrays.
        steps_per_epoch: needed if `data` is endless, of unknown length, a function, or spans all
            epochs. A `tf.data` set that ends before is repeated.
        validation_data: measured after each epoch, in the forms of `data`; batches must end.
            Histories then have `val_loss` and so on. A curve is measured at r = 0.5.
        callbacks: a Keras callback or a list of them. They start anew if a training resumes.
        verbose: Keras's progress, on standard output: 0 none, 1 a bar, 2 a line an epoch, or
            "auto", a bar where it can be drawn.
        checkpoint_dir: folder of checkpoints, from which an interrupted training resumes, or a
            `Checkpoints`. It resumes within an epoch, and bit-identically, only if `data` is a
            function; arrays are shuffled again. Remove the folder once the model is saved.
        devices: the devices that share each batch; then build `model` from the result of `shared`.
            With several processes, all of them need a checkpoint, and only those of epochs count.
        class_weight: as in Keras's `fit`, for all classes.

    Returns:
        Keras's history of all epochs: `history.history["loss"]` and so on.

    Raises:
        InputError: an argument can't be used, `steps_per_epoch` is needed, batches ran out before
            it, or another process of `devices` is about to train something else.
        TrainingError: the training diverged (see `DivergenceWatch`), and retries are off or four of
            them failed. A retry starts from the last epoch's checkpoint at half the rate.
    """
    callbacks = checked(callbacks, optimizer, verbose)
    data, steps_per_epoch = entered_for_training(
        data, batch_size, steps_per_epoch, labelled=loss is not None
    )
    if validation_data is not None:
        validation_data = checked_validation(validation_data, data, loss is not None, devices)
    if checkpoint_dir is not None and not isinstance(checkpoint_dir, Checkpoints):
        made_from = {} if optimizer is None else {"optimizer": described(optimizer)}
        checkpoint_dir = Checkpoints(checkpoint_dir, made_from=made_from)
    training = _Training(
        model,
        data,
        recipe,
        steps_per_epoch,
        batch_size if are_arrays(data) else None,
        callbacks,
        checkpoint_dir,
        devices,
        optimizer,
        validation_data,
        verbose,
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
    optimizer: object
    validation_data: object
    verbose: str | int
    class_weight: dict[int, float] | None

    @property
    def compiles(self) -> bool:
        """Whether XLA compiles the step."""
        return self.recipe.compiles(self.model) and (self.devices is None or self.devices.compiles)

    @property
    def several(self) -> bool:
        """Whether other processes train the same model."""
        return self.devices is not None and self.devices.processes > 1

    def run(self, **compiling) -> keras.callbacks.History:
        """Trains from the newest checkpoint: the rest of an epoch, then the other epochs."""
        watch, done = self._prepare(**compiling)
        history = keras.callbacks.History()
        history.on_train_begin()
        plain = self.devices is None and not self.compiles
        with (
            signals.held() if self.checkpoints else contextlib.nullcontext(),
            computing_in(self.recipe.precision, self.model),
            cpu_kernels(self.model) if plain else contextlib.nullcontext(),
        ):
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
                    validation_data=self.validation_data,
                    callbacks=[EpochSeeds(), *self.callbacks, *watch],
                    verbose=self.verbose,
                )
                done += (end - first - 1) * self.steps_per_epoch + steps
                history.epoch += fitted.epoch
                for name, values in fitted.history.items():
                    history.history.setdefault(name, []).extend(values)
                if self.model.stop_training:  # by a callback
                    break
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
        self.model.compile(
            optimizer=self._optimizer(retries),
            jit_compile=self.compiles,
            **compiling,
        )
        if checkpoints is None:
            return [DivergenceWatch({}), EnoughData()], 0
        checkpoints.within_epochs = within_epochs
        checkpoints.restore(self.model, checkpoint)
        if self.optimizer is not None:
            # Its rate was restored, which the checkpoint may have from before the last retry.
            halvings = len(retries) - checkpoints.notes.get("halvings", 0)
            optimizer = self.model.optimizer
            if halvings:
                optimizer.learning_rate = 0.5**halvings * float(optimizer.learning_rate)
            checkpoints.notes["halvings"] = len(retries)
        if checkpoint is None:
            checkpoints.write(self.model, "epoch-0")
        # Checkpoints come last, so that a diverged step writes none.
        return [DivergenceWatch(checkpoints.notes), EnoughData(), checkpoints], checkpoints.step

    def _optimizer(self, retries: list) -> keras.optimizers.Optimizer:
        """A new optimizer; the recipe's has half the rate after each retry."""
        if self.optimizer is not None:
            return fresh_optimizer(self.optimizer)
        peak = self.recipe.learning_rate / 2 ** len(retries)
        recipe = dataclasses.replace(self.recipe, learning_rate=peak)
        return recipe.optimizer(self.steps_per_epoch)

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
        if self.optimizer is not None and has_schedule(self.optimizer):
            raise TrainingError(f"{told}; train with an `optimizer` of a lower rate") from error
        if checkpoints.on_divergence == "stop":
            raise TrainingError(
                f"{told}; run again with `on_divergence=retry`, or {lower}"
            ) from error
        checkpoints.roll_back({"retries": [*retries, str(error)]})
        logger.warning(
            f"{error}; back to the end of epoch {last.name.partition('-')[2]}, at half the rate"
        )
