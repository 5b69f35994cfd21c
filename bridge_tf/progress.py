"""Progress of long stages, on standard error."""

import sys
import time
from collections.abc import Iterator, Sequence

import keras
import rich.progress
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def track(title: str, things: Sequence) -> Iterator:
    """Goes through `things`, with a bar on a terminal; elsewhere one line when it begins."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(title)
    yield from rich.progress.track(
        things, title, console=console, disable=not console.is_terminal, transient=True
    )


class TrainingProgress(keras.callbacks.Callback):
    """A bar for a training on a terminal; elsewhere one line when it is done.

    Used as a context, so that the bar goes whatever happens.

    Args:
        title: what is trained, for example "mode 1 of 4".
        images_per_step: batch size, for the throughput.
    """

    def __init__(self, title: str, images_per_step: int):
        super().__init__()
        self.title, self.images_per_step = title, images_per_step
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
        self._start = time.perf_counter()
        self._steps = 0
        self._epoch = 0
        total = self.params["epochs"] * (self.params["steps"] or 1)
        self._task = self._bar.add_task(self.title, total=total, state="compiling")
        self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        # Of an interrupted training the first epochs are done already.
        self._epoch = epoch + 1
        self._bar.update(self._task, completed=epoch * (self.params["steps"] or 1))

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        speed = self._steps * self.images_per_step / (time.perf_counter() - self._start)
        state = f"epoch {self._epoch}  loss {(logs or {}).get('loss', 0):.4f}  {speed:.0f} images/s"
        self._bar.update(self._task, advance=1, state=state)

    def on_train_end(self, logs=None):
        seconds = time.perf_counter() - self._start
        figures = ", ".join(f"{key} {value:.4f}" for key, value in (logs or {}).items())
        say(f"{self.title}: {self.params['epochs']} epochs in {seconds:.0f} s, {figures}")
