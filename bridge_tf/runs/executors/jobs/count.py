"""How many processes are worth it, by the cores that one training leaves idle."""

import contextlib
import math
import time
from collections.abc import Iterator

import keras

from bridge_tf.config.fields import AUTO
from bridge_tf.runs.context import Run
from bridge_tf.training.cpu_kernels import has_accelerator
from bridge_tf.utils.memory import available_memory, own_memory
from bridge_tf.utils.processors import cores, idle_seconds
from bridge_tf.utils.terminal import logger

# A process imports TensorFlow, reads the data and compiles its first training.
_START_SECONDS = 20


class Count:
    """The number of processes for the trainings of a run, as `jobs` has it."""

    def __init__(self, run: Run):
        config = run.config
        alone = config.hosts or config.devices != "1"
        self._number = None if config.jobs == AUTO else int(config.jobs)
        if self._number is None and (alone or keras.backend.backend() != "tensorflow"):
            self._number = 1
        if self._number is None and config.threads:
            self._number = _with_memory(cores() // config.threads)
        self._seconds: float | None = None
        self._left = sum(
            task.is_training and not task.file(run.files).exists()
            for task in run.graph.tasks.values()
            if task.stage in run.stages
        )

    @property
    def short(self) -> bool:
        """Whether a training takes no longer than a process to start, as far as is known."""
        return self._seconds is not None and self._seconds < _START_SECONDS

    def of(self, trainings: int) -> int:
        """The number for so many trainings; 1 until the first one is measured, if it has to be."""
        return min(trainings, self._number or 1)

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Measures the training in the block, if it is the first."""
        start, idle_before = time.perf_counter(), idle_seconds()
        own_before = time.process_time()
        yield
        self._left -= 1
        if self._number is None:
            self._seconds = time.perf_counter() - start
            busy = (time.process_time() - own_before) / self._seconds
            idle = idle_seconds()
            if idle is not None and idle_before is not None:  # other work counts too
                busy = max(busy, cores() - (idle - idle_before) / self._seconds)
            self._number = 1 if has_accelerator() else worth(busy, self._seconds, self._left)
            if self._number > 1:
                logger.info(
                    f"jobs: {busy:.1f} of {cores()} cores were busy in a training, so "
                    f"{self._number} at a time"
                )


def worth(busy: float, seconds: float, left: int) -> int:
    """How many processes save time.

    Args:
        busy: cores that are busy during one training.
        seconds: what it takes.
        left: number of trainings that are left.
    """
    number = cores()
    saved = seconds * left * (1 - busy / number)
    if saved < _START_SECONDS:
        return 1
    return _with_memory(min(number, math.ceil(number / busy - 0.1)))


def _with_memory(count: int) -> int:
    """So many processes, or fewer if memory is short; at least 1."""
    free, own = available_memory(), own_memory()
    if free is not None and own:  # another process takes about as much as this one
        count = min(count, free // own)
    return max(1, count)
