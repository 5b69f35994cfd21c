"""Memory: what is left on this machine, refusing what needs more, and what a training needs."""

import multiprocessing
import os
import pathlib
from collections.abc import Callable
from unittest import mock

from bridge_tf.utils.errors import InputError

_MEMINFO = pathlib.Path("/proc/meminfo")
_CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can still be used, by the machine's count and the container's; None if unknown."""
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


def check_memory(name: str, what: str, needed: int, remedy: str) -> None:
    """Checks that images fit into memory.

    Args:
        name: what names them, as "`dataset=folder:PATH`".
        what: the images, as "its 100 images of 8×8 pixels".
        needed: bytes, copies included.
        remedy: what to do if they don't fit.

    Raises:
        InputError: they don't.
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
