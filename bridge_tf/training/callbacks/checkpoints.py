"""Checkpoints of a training, from which it resumes bit-identically."""

import dataclasses
import io
import json
import os
import pathlib
import re
import time
import zipfile

import keras
import numpy as np

from bridge_tf.utils import signals
from bridge_tf.utils.errors import reason
from bridge_tf.utils.files import replacing
from bridge_tf.utils.terminal import logger

_NAME = re.compile(r"(?:epoch|step)-(\d+)\.npz", re.ASCII)
_NOTES = "notes"


@dataclasses.dataclass
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        name: of its file.
        step: number of finished steps since the training began.
        notes: state that isn't a variable, as JSON data.
        arrays: values of all variables that training changes, by group and number.
    """

    name: str
    step: int
    notes: dict
    arrays: dict[str, np.ndarray]


class Checkpoints(keras.callbacks.Callback):
    """Writes checkpoints of a training: weights, optimizer, metrics, seeds, position in the data.

    `folder` has a file `epoch-N.npz` for each of the last two epochs (0: before the first) and
    within an epoch one file `step-N.npz` (steps since the training began). A file with a wrong
    checksum is set aside, and the previous one is used. Remove the folder once the model is saved.
    When a signal asks the process to stop, a checkpoint is written after the current step.

    Args:
        folder: created with the first checkpoint.
        minutes: between checkpoints within an epoch; 0: none.
        made_from: identifies the inputs, for example by digests; checkpoints of others are ignored.
        on_divergence: "stop" or "retry", see `fit`.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        minutes: float = 5.0,
        made_from: dict | None = None,
        on_divergence: str = "stop",
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.seconds = 60 * minutes or float("inf")
        self.made_from = made_from or {}
        self.on_divergence = on_divergence
        self.notes: dict = {}
        self.within_epochs = True
        self.step = 0

    def newest(self, epochs_only: bool = False) -> Checkpoint | None:
        """The newest valid checkpoint, if there is one."""
        return max(self.read(epochs_only), key=lambda checkpoint: checkpoint.step, default=None)

    def read(self, epochs_only: bool = False) -> list[Checkpoint]:
        """The valid checkpoints of this training; damaged ones are set aside."""
        found = []
        for path in self._files("epoch-*.npz" if epochs_only else "*.npz"):
            content = path.read_bytes()
            try:
                checkpoint = _parsed(path.stem, content)
            except MemoryError:
                raise
            except (
                Exception
            ) as error:  # zipfile and NumPy raise many kinds of errors for damaged files
                logger.warning(f"{path} is damaged ({reason(error)}) and passed over")
                path.rename(path.with_name(f"{path.name}.damaged"))
                continue
            if checkpoint.notes.get("made_from") == self.made_from:
                found.append(checkpoint)
        return found

    def forget_after(self, checkpoint: Checkpoint | None) -> None:
        """Removes all checkpoints but those of epochs up to this one; all of them for None."""
        paths = self._files("epoch-*.npz")
        kept = (
            paths[: [path.stem for path in paths].index(checkpoint.name) + 1] if checkpoint else []
        )
        for path in set(self._files("*.npz")) - set(kept):
            path.unlink()

    def restore(self, model, checkpoint: Checkpoint | None) -> None:
        """Restores a checkpoint to a compiled model; for None, the initial state."""
        model.optimizer.build(model.trainable_variables)
        self.step = checkpoint.step if checkpoint else 0
        self.notes = {**(checkpoint.notes if checkpoint else {}), "made_from": self.made_from}
        # State that each epoch resets, but that must be kept within an epoch.
        self._to_set = self._to_add = None
        if checkpoint:
            _assign(_variables(model), checkpoint.arrays)
            if checkpoint.name.startswith("step"):
                self._to_set = self._to_add = checkpoint.arrays

    def write(self, model, name: str) -> None:
        """Writes a checkpoint of `model` and removes old ones."""
        arrays = {
            key: keras.ops.convert_to_numpy(variable)
            for key, variable in (_variables(model) | _metrics(model)).items()
        }
        earlier = self._files("step-*.npz")
        if name.startswith("epoch"):
            earlier += self._files("epoch-*.npz")[:-1]
        path = self._write(Checkpoint(name, self.step, self.notes, arrays))
        for other in set(earlier) - {path}:
            other.unlink()
        self._written = time.monotonic()

    def roll_back(self, notes: dict) -> None:
        """Makes the last epoch's checkpoint the newest one, with new notes."""
        checkpoint = self.newest(epochs_only=True)
        for path in self._files("step-*.npz"):
            path.unlink()
        self._write(dataclasses.replace(checkpoint, notes=checkpoint.notes | notes))

    def on_train_begin(self, logs=None):
        self._written = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        if self._to_set is not None:
            _assign(_variables(self.model), self._to_set)
            self._to_set = None

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self._to_add is not None:
            # Keras builds metrics in the first step. They are sums, like those of means.
            for key, variable in _metrics(self.model).items():
                variable.assign(variable + self._to_add[key])
            self._to_add = None
        if batch + 1 == self.params["steps"]:
            return  # the epoch's checkpoint follows
        signal = signals.requested()
        due = time.monotonic() - self._written >= self.seconds
        if self.within_epochs and (signal or due):
            self.write(self.model, f"step-{self.step}")
        _leave_if(signal)

    def on_epoch_end(self, epoch, logs=None):
        self.write(self.model, f"epoch-{epoch + 1}")
        _leave_if(signals.requested())

    def _write(self, checkpoint: Checkpoint) -> pathlib.Path:
        path = self.folder / f"{checkpoint.name}.npz"
        # Store the names: a flipped bit can hide entries of a zip file without an error.
        notes = {**checkpoint.notes, "step": checkpoint.step, "names": sorted(checkpoint.arrays)}
        notes = json.dumps(notes).encode()
        with replacing(path) as partial, open(partial, "wb") as file:
            np.savez(file, **{_NOTES: np.frombuffer(notes, "uint8")}, **checkpoint.arrays)
        return path

    def _files(self, pattern: str) -> list[pathlib.Path]:
        """The checkpoint files in the order of their numbers."""
        names = {path: _NAME.fullmatch(path.name) for path in self.folder.glob(pattern)}
        return sorted(filter(names.get, names), key=lambda path: int(names[path][1]))


def _leave_if(signal: int | None) -> None:
    if signal:
        raise signals.Interrupted(signal)


def _parsed(name: str, content: bytes) -> Checkpoint:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {
            entry.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(archive.read(entry)), allow_pickle=False
            )
            for entry in archive.namelist()
        }
    notes = json.loads(arrays.pop(_NOTES).tobytes())
    if notes.pop("names") != sorted(arrays):
        raise ValueError("values are missing")
    return Checkpoint(name, notes.pop("step"), notes, arrays)


def _variables(model) -> dict:
    """All variables that training changes, by group and number."""
    own = getattr(model, "changing_variables", model.variables)
    groups = {"model": own, "optimizer": model.optimizer.variables}
    return {f"{group}-{k}": v for group, some in groups.items() for k, v in enumerate(some)}


def _metrics(model) -> dict:
    return {f"metrics-{k}": v for k, v in enumerate(model.metrics_variables)}


def _assign(variables: dict, arrays: dict[str, np.ndarray]) -> None:
    for key, variable in variables.items():
        value = arrays[key]
        if value.dtype.kind == "V":  # NumPy's files have no bfloat16
            value = value.view(keras.ops.convert_to_numpy(variable).dtype)
        variable.assign(value)


class EpochSeeds(keras.callbacks.Callback):
    """Makes every random draw in a model depend only on its seed, the epoch and the step.

    Keras doesn't save seed generators; a resumed training would repeat the first epochs' draws.
    """

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed = int(keras.ops.convert_to_numpy(variable)[0])
                # Each draw increments the second number.
                variable.assign(keras.ops.convert_to_tensor([seed, epoch << 20], variable.dtype))
