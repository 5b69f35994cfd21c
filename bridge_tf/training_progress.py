"""The progress of a training."""

import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bridge_tf.progress import say


class TrainingProgress(keras.callbacks.Callback):
    """A bar for a training on a terminal; elsewhere one line when it is done.

    Used as a context, so that the bar goes whatever happens. A training may take several calls of
    `fit`: of an interrupted one the first steps are done already.

    Args:
        title: what is trained, for example "mode 1 of 4".
        images_per_step: batch size, for the throughput.
        epochs: of the whole training.
        steps_per_epoch: of the whole training.
    """

    def __init__(self, title: str, images_per_step: int, epochs: int, steps_per_epoch: int):
        super().__init__()
        self.title, self.images_per_step = title, images_per_step
        self.epochs, self.total = epochs, epochs * steps_per_epoch
        self._start, self._steps, self._epoch = None, 0, 0
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def on_train_begin(self, logs=None):
        if self._start is None:
            self._start = time.perf_counter()
            self._task = self._bar.add_task(self.title, total=self.total, state="compiling")
            self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1
        self._bar.update(self._task, completed=self._done())

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        speed = self._steps * self.images_per_step / (time.perf_counter() - self._start)
        state = f"epoch {self._epoch}  loss {(logs or {}).get('loss', 0):.4f}  {speed:.0f} images/s"
        self._bar.update(self._task, advance=1, state=state)

    def on_train_end(self, logs=None):
        if self._done() < self.total:
            return
        seconds = time.perf_counter() - self._start
        figures = ", ".join(f"{key} {value:.4f}" for key, value in (logs or {}).items())
        say(f"{self.title}: {self.epochs} epochs in {seconds:.0f} s, {figures}")

    def _done(self) -> int:
        """Steps done since the training began, whichever process did them."""
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
