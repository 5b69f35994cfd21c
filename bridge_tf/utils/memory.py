"""Memory: available bytes, those of this process, checks for images, peak of a training."""

import multiprocessing
import os
import pathlib
from collections.abc import Callable
from unittest import mock

from bridge_tf.utils.errors import InputError

_MEMINFO = pathlib.Path("/proc/meminfo")
_STATUS = pathlib.Path("/proc/self/status")
_CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Available bytes, limited by machine and container; None if unknown."""
    found = []
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    limit, used = (_lines(_CGROUP / f"memory.{name}") for name in ("max", "current"))
    if limit and used and limit[0].isdigit():
        cached = sum(
            int(line.split()[1])
            for line in _lines(_CGROUP / "memory.stat")
            if line.startswith("inactive_file ")
        )
        found.append(max(0, int(limit[0]) - int(used[0]) + cached))
    return min(found) if found else None


def own_memory() -> int | None:
    """The most bytes that this process has had in memory; None if unknown."""
    for line in _lines(_STATUS):
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return None


def check_memory(name: str, what: str, needed: int, remedy: str) -> None:
    """Raises an InputError if things that need `needed` bytes, with copies, don't fit into memory.

    `name` (their setting), `what` (the things) and `remedy` are for the message.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise InputError(
            f"{name}: {what} need {needed / 1e9:,.1f} GB of memory, {available / 1e9:,.1f} GB are "
            f"available; {remedy}"
        )


def _lines(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []


def peak_of(make: Callable, *arguments) -> int:
    """Peak memory of TensorFlow's allocator during training steps, in bytes.

    In a new process, `make(*arguments)`, a module-level function, returns a function that trains a
    few steps. It runs once to compile, and once for the measurement.
    """
    # On a CPU, only this allocator counts bytes.
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
