"""Graceful exit on SIGINT (Ctrl-C) or SIGTERM.

Inside `graceful`, the first signal raises `Interrupted` in the main thread, so that all cleanup
runs. Inside `held` it is only recorded, so that the holder can finish a step and save it. Native
code, such as a compilation, can delay Python's signal handlers for minutes. So a thread watches the
time, and exits the process when it is over or a second signal comes.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Some parents, such as `timeout`, signal the process and then its whole group.
_ONE_SIGNAL = 0.1
_LOST = b"\0"  # not the number of a signal
_PAUSE = 0.02
_CLEAN_LINE = b"\r\x1b[K\x1b[?25h"  # erases a half-drawn bar and shows the cursor

_watch: "_Watch | None" = None


class Interrupted(KeyboardInterrupt):
    """The signal `signum` asked the process to exit."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = int(signum)


@contextmanager
def graceful(grace: float = 8.0, message: str = "interrupted") -> Iterator[None]:
    """Handles signals during the block; afterwards the earlier handlers are restored.

    It has no effect inside another `graceful` or outside the main thread, where handlers can't be
    set. A signal that is already ignored stays ignored, for example in a script's job after `&`.

    Args:
        grace: seconds from the first signal until the process exits, wherever it is. This is safe
            only for files written with `bridge_tf.utils.files.replacing`.
        message: printed at the exit; none if it is empty.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch = _Watch(grace, message)
    try:
        with _watch.installed():
            yield
    finally:
        _watch = None


@contextmanager
def held() -> Iterator[None]:
    """Records a first signal during the block, and raises `Interrupted` at its end."""
    watch = _watch
    if watch is None:
        yield
        return
    watch.holders += 1
    try:
        yield
    finally:
        watch.holders -= 1
    if watch.signum is not None and not watch.holders:
        raise Interrupted(watch.signum)


@contextmanager
def at_once() -> Iterator[None]:
    """Exits at the first signal during the block, where there is nothing to finish or save."""
    watch = _watch
    if watch is None:
        yield
        return
    watch.hurried += 1
    try:
        yield
    finally:
        watch.hurried -= 1


def requested() -> int | None:
    """The first signal received, if any."""
    return None if _watch is None else _watch.signum


def leave(signum: int) -> None:
    """Exits with a signal's message and status; doesn't wait for threads of native libraries."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if _watch is not None:
        _watch.leave(signum)
    os._exit(128 + signum)


class _Watch:
    """The signal handlers and the thread that watches the time."""

    def __init__(self, grace: float, message: str):
        self.signum: int | None = None
        self.holders = 0
        self.hurried = 0
        self._grace = grace
        self._line = message.encode() + b"\n" if message else b""
        self._leaving = threading.Lock()
        self._lost = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            self._reader, self._writer = socket.socketpair()
            stack.callback(self._reader.close)
            # A copy: standard error is redirected while TensorFlow is imported.
            try:
                self._stderr = os.dup(2)
            except OSError:
                self._stderr = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, self._stderr)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
            stack.callback(setattr, sys, "unraisablehook", self._hook)
            thread = threading.Thread(target=self._count, name="signals", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._writer.close)
            self._writer.setblocking(False)
            earlier = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            stack.callback(signal.set_wakeup_fd, earlier)
            for signum in SIGNALS:
                if signal.getsignal(signum) == signal.SIG_IGN:
                    continue
                handler = signal.signal(signum, self._handle)
                # None: a handler of native code, which Python can't restore.
                stack.callback(signal.signal, signum, handler or signal.SIG_DFL)
            yield

    def leave(self, signum: int) -> None:
        """Exits with one line, unless another thread is doing so."""
        if self._leaving.acquire(blocking=False):
            with contextlib.suppress(OSError):
                clean = _CLEAN_LINE if self._line and os.isatty(self._stderr) else b""
                os.write(self._stderr, clean + self._line)
            os._exit(128 + signum)

    def _handle(self, signum, frame) -> None:
        if self.signum is not None and not self._lost:
            return  # the thread handles it
        self._lost = False
        self.signum = int(signum)
        if self.hurried:
            self.leave(signum)
        elif not self.holders:
            raise Interrupted(signum)

    def _unraisable(self, unraisable) -> None:
        """Repeats an `Interrupted` that Python ignored because it was raised in a destructor."""
        if isinstance(unraisable.exc_value, Interrupted):
            self._lost = True
            self._writer.send(_LOST)
        else:
            self._hook(unraisable)

    def _count(self) -> None:
        """Reads one byte for each signal; Python writes it even if the main thread is blocked."""
        first = began = None
        echoes = 0
        while True:
            left = None if began is None else began + self._grace - time.monotonic()
            self._reader.settimeout(None if left is None else max(left, 1e-3))
            try:
                received = self._reader.recv(1)
            except TimeoutError:
                self.leave(first)
                return
            if not received:
                return  # `graceful` is over
            if received == _LOST:
                echoes += 1
                time.sleep(_PAUSE)  # until the main thread has left the destructor
                signal.pthread_kill(threading.main_thread().ident, first)
                continue
            signum = received[0]
            if signum not in SIGNALS:
                continue
            if echoes:
                echoes -= 1
                continue
            if began is None:
                first, began = signum, time.monotonic()
                if self.hurried:
                    self.leave(signum)
            elif time.monotonic() - began > _ONE_SIGNAL:
                self.leave(signum)


def end_with(descriptor: int) -> None:
    """Ends this process, in a thread, when the other end of a pipe is closed."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
