"""Event files for TensorBoard, which the package never reads, and the log of a training."""

import os
import pathlib
import time
from collections.abc import Mapping

import keras

from bridge_tf.training.callbacks.history import read_epochs, write_epochs
from bridge_tf.training.callbacks.step_timer import StepTimer

_EVENTS = "events.out.tfevents."
_TRAINING = ".training"
_OF_TRAINING = {
    "loss": "Mean over the epoch's images, in nats: cross-entropy of modes and curves, KL "
    "divergence of a bridge from its curve member less the repulsion",
    "accuracy": "Share of the epoch's images, as augmented, whose top class is their label",
    "agreement": "Share of the epoch's images whose top class is the curve member's",
    "learning_rate": "At the end of the epoch",
    "images_per_second": "Training images a second, in the epoch; its first step, which is "
    "compiled, is left out",
}


class ScalarWriter:
    """Writes scalars to a new event file, which is created with the first scalar.

    `suffix`, at the end of its name, says who wrote it; `texts` are descriptions by tag.
    """

    def __init__(self, folder: pathlib.Path, suffix: str, texts: Mapping[str, str]):
        self.folder, self.suffix, self.texts = folder, suffix, texts
        self._records = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values by tag and flushes them to the system."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self._records is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard sorts files by name. Errors in its own writer's thread would be lost.
            path = self.folder / f"{_EVENTS}{time.time_ns():020}{self.suffix}"
            self._records = RecordWriter(open(path, "xb"))  # noqa: SIM115
            self._add(file_version="brain.Event:2")
        for tag, value in values.items():
            self._add(step=step, summary=scalar_pb(tag, value, self.texts.get(tag)))
        self._records.flush()

    def close(self) -> None:
        if self._records is not None:
            self._records.close()
            self._records = None

    def _add(self, **content) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **content).SerializeToString())


def remove_events(folder: pathlib.Path, suffix: str = _TRAINING) -> None:
    """Removes the event files with a suffix below a folder; links aren't followed."""
    for path in [] if folder.is_symlink() else [*folder.rglob(f"{_EVENTS}*{suffix}")]:
        if path.is_file() and not path.is_symlink():
            path.unlink()


class TrainingLog(StepTimer):
    """Logs each epoch's loss, metrics, learning rate and images per second; a context manager.

    They go to the training's history (`callbacks.history`) and to an event file for TensorBoard. If
    a training resumes from an epoch, later values are removed. `folder` is created at the end of
    the first epoch; `images_per_step` is the batch size.
    """

    def __init__(self, folder: str | os.PathLike, images_per_step: int):
        super().__init__(images_per_step)
        self.folder = pathlib.Path(folder)
        self._writer = ScalarWriter(self.folder, _TRAINING, _OF_TRAINING)
        self._epochs: list[dict] = []
        self._next = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._writer.close()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if epoch != self._next:
            self._writer.close()
            remove_events(self.folder)
            self._epochs = [row for row in read_epochs(self.folder) if row["epoch"] <= epoch]
            for row in self._epochs:
                self._show(row)
            self._next = epoch

    def on_epoch_end(self, epoch, logs=None):
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in (logs or {}).items()},
            "learning_rate": float(rate),
            "images_per_second": self.images_per_second,
        }
        self._epochs.append(row)
        write_epochs(self.folder, self._epochs)
        self._show(row)
        self._next = epoch + 1

    def _show(self, row: dict) -> None:
        values = {tag: value for tag, value in row.items() if tag != "epoch"}
        self._writer.write(row["epoch"], values)
