"""The speed of a training."""

import time

import keras


class StepTimer(keras.callbacks.Callback):
    """Times the training steps of this process; `images_per_step` is the batch size.

    The first step of each `fit`, with its compilation, counts only while there is no other.
    """

    def __init__(self, images_per_step: int):
        super().__init__()
        self.images_per_step = images_per_step
        self._run = None

    def on_train_begin(self, logs=None):
        self._compiles = True
        self._epoch = _Span()
        self._run = self._run or self._epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = _Span()

    def on_train_batch_end(self, batch, logs=None):
        self._epoch.step(self._compiles)
        self._run.step(self._compiles)
        self._compiles = False

    @property
    def seconds_per_step(self) -> float:
        """The mean over all steps so far, including the time between epochs, as for checkpoints."""
        return self._run.seconds_per_step

    @property
    def images_per_second(self) -> float:
        """The throughput of the current epoch, or of the one just finished."""
        return self.images_per_step / self._epoch.seconds_per_step


class _Span:
    """Counts and times steps from its creation on."""

    def __init__(self):
        self._last = time.perf_counter()
        self._first, self._seconds, self._steps = 0.0, 0.0, 0

    def step(self, compiles: bool) -> None:
        """Counts a finished step; `compiles` marks the first one of a `fit`."""
        now = time.perf_counter()
        if compiles:
            self._first = now - self._last
        else:
            self._seconds += now - self._last
            self._steps += 1
        self._last = now

    @property
    def seconds_per_step(self) -> float:
        return self._seconds / self._steps if self._steps else self._first
