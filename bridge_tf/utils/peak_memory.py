"""The memory that training steps need on a CPU, measured in processes of their own."""

import multiprocessing
import os
from collections.abc import Callable
from unittest import mock


def peak_of(make: Callable, *arguments) -> int:
    """The most memory, in bytes, that TensorFlow's allocator held while a function trained.

    Args:
        make: a function of a module; called with `arguments` in a new process, it gives a
            function that trains a few steps. That runs once before the measurement, so that
            what only compilation needs doesn't count, and once in it.
    """
    # Only this allocator keeps count on a CPU.
    with mock.patch.dict(os.environ, TF_CPU_ALLOCATOR_USE_BFC="true"):
        pool = multiprocessing.get_context("spawn").Pool(1)
    with pool:
        return pool.apply(_peak, (make, arguments))


def _peak(make: Callable, arguments: tuple) -> int:
    import tensorflow as tf

    train = make(*arguments)
    train()
    tf.config.experimental.reset_memory_stats("CPU:0")
    train()
    return tf.config.experimental.get_memory_info("CPU:0")["peak"]
