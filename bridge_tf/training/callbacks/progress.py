"""The progress of a training."""

import datetime
import time

import keras
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from bridge_tf.training.callbacks.step_timer import StepTimer
from bridge_tf.utils.terminal import bar_console, logger, shows_bars


class TrainingProgress(StepTimer):
    """Shows the progress of a training: a bar on a terminal, elsewhere one line for each epoch.

    Use it as a context manager, which removes the bar. A training may consist of several calls of
    `fit`, and a resumed one starts with finished steps.

    Args:
        title: of the training, for example "mode 1 of 4".
        images_per_step: batch size, for the throughput.
        epochs, steps_per_epoch: of the whole training.
    """

    def __init__(self, title: str, images_per_step: int, epochs: int, steps_per_epoch: int):
        super().__init__(images_per_step)
        self.title, self.epochs = title, epochs
        self.steps_per_epoch, self.total = steps_per_epoch, epochs * steps_per_epoch
        self._start, self._done = None, 0
        console = bar_console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            # The bar takes the space beside the text.
            BarColumn(None, table_column=Column(max_width=40)),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not shows_bars(console),
            transient=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        # Steps since the training began, including those of earlier processes.
        self._done = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if self._start is None:
            self._start = time.perf_counter()
            self._task = self._bar.add_task(self.title, total=self.total, state="compiling")
            self._bar.start()
        self._bar.update(self._task, completed=self._done)

    def on_train_batch_end(self, batch, logs=None):
        compiled = self._compiles
        super().on_train_batch_end(batch, logs)
        epoch = self._done // self.steps_per_epoch + 1
        self._done += 1
        if not (compiled or self._bar.disable):  # the speed isn't known before the second step
            loss = (logs or {}).get("loss", 0)
            state = f"{self._place(epoch)}  loss {loss:.4f}  {self._pace('  ')}"
            self._bar.update(self._task, completed=self._done, state=state)

    def on_epoch_end(self, epoch, logs=None):
        if self._bar.disable:
            place, pace = self._place(epoch + 1), self._pace(", ")
            logger.info(f"{self.title}: {place}, {_figures(logs)}, {pace} left")

    def on_train_end(self, logs=None):
        if self._done < self.total:
            return
        seconds = time.perf_counter() - self._start
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        logger.info(f"{self.title}: {epochs} in {seconds:.0f} s, {_figures(logs)}")

    def _place(self, epoch: int) -> str:
        return f"epoch {epoch}/{self.epochs}"

    def _pace(self, separator: str) -> str:
        """Throughput of the epoch, and remaining time of the training as hours:minutes:seconds."""
        speed = self.images_per_second
        left = (self.total - self._done) * self.seconds_per_step
        digits = 0 if speed >= 10 else 1
        return f"{speed:,.{digits}f} images/s{separator}{datetime.timedelta(seconds=round(left))}"


def _figures(logs: dict | None) -> str:
    logs = dict(logs or {})
    loss = {"loss": logs.pop("loss")} if "loss" in logs else {}
    return ", ".join(f"{key} {value:.4f}" for key, value in (loss | logs).items())
