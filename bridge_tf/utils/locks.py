"""A lock for one writer of a folder; the system releases it when its holder dies."""

import contextlib
import datetime
import json
import os
import pathlib
import shlex
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import filelock

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import is_full
from bridge_tf.utils.paths import kind_of, reason_of
from bridge_tf.utils.terminal import logger
from bridge_tf.utils.urls import without_credentials

NAME = ".lock"
_POLL_SECONDS = 0.25
_held: set[tuple[int, str]] = set()  # with the process id, because a fork copies the set


@contextmanager
def locked(
    folder: str | os.PathLike, argument: str = "workdir", wait: bool = False, told: bool = True
) -> Iterator[None]:
    """Keeps other processes out of `folder`, which must exist, while the block runs.

    FOLDER/.lock says who holds the lock. If the holder dies, the file stays, and the next process
    takes it over. The holder is the process: a nested block has no effect, in any thread. A process
    forked within a block holds no lock.

    Args:
        argument: the name of the setting, for messages.
        wait: whether to wait until the lock is free.
        told: whether that is told, with a name of the holder.

    Raises:
        InputError: another process holds it and `wait` is false, or the folder can't be locked.
    """
    process = os.getpid()
    key = process, os.path.realpath(folder)
    if key in _held:
        yield
        return
    path = pathlib.Path(folder) / NAME
    lock = filelock.FileLock(path, on_acquired=_sign)
    try:
        os.stat(folder)  # filelock would create it
        _refuse_others(path)
        _acquire(lock, path, argument, wait, told)
    except OSError as error:
        if is_full(error):
            raise
        raise InputError(
            f"`{argument}`: can't lock {folder} ({reason_of(error)}); name a folder "
            f"in which {NAME} can be written"
        ) from error
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        if os.getpid() == process:
            # Before the release: a waiting process notices that the file is gone.
            with contextlib.suppress(OSError):
                path.unlink()
            lock.release()


def _refuse_others(path: pathlib.Path) -> None:
    """Raises an OSError if something is at `path` that writing the lock would change or hang."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise OSError(f"{path.name} is a link")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path.name} is {kind_of(found)}")
    if found.st_nlink > 1:
        raise OSError(f"{path.name} is a hard link to another file")


def _acquire(lock, path: pathlib.Path, argument: str, wait: bool, told: bool) -> None:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        used = f"`{argument}`: {path.parent} is in use by {_holder(path)}"
        if not wait:
            raise InputError(
                f"{used}; wait for it with `wait` or use another `{argument}`"
            ) from None
        if told:
            logger.warning(f"{used}; waiting for it")
        lock.acquire(poll_interval=_POLL_SECONDS)


def _sign(file: int) -> None:
    """Writes the holder into the lock file."""
    program = "/".join(pathlib.Path(sys.argv[0]).parts[-2:]) or "python"
    entry = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": without_credentials(shlex.join([program, *sys.argv[1:]]))[:200],
        "since": datetime.datetime.now().isoformat(" ", "minutes"),
    }
    with contextlib.suppress(OSError):  # the lock works without it
        if os.fstat(file).st_nlink > 1:
            return
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(entry).encode(), 0)


def _holder(path: pathlib.Path) -> str:
    """The holder of the lock, from its file."""
    try:
        entry = json.loads(path.read_bytes()[:10_000])
        pid = int(entry["pid"])
        program, host, since = (
            "".join(c for c in str(entry[key]).split(sep)[0] if c.isprintable())[:60]
            for key, sep in (("command", " -"), ("host", " "), ("since", "\n"))
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    return f"{program}, process {pid} on host {host} since {since}"
