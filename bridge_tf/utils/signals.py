"""Leaving in order when SIGINT (Ctrl-C) or SIGTERM asks a process to.

`graceful` answers the first signal by `Interrupted`, raised where the main thread is, so that every
`with` and `finally` on the way out is run; inside `held` it is only noted, for the holder to finish
a step and keep it. Python runs handlers in the main thread, between two bytecodes, and a call into
native code, such as a compilation, may keep it from that for minutes. A thread of its own therefore
counts the time since the first signal, and leaves when it is over or a second signal comes.
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
# Some parents, `timeout` for one, send a signal to the process and then to its whole group.
_ONE_SIGNAL = 0.1
_LOST = b"\0"  # no signal's number
_PAUSE = 0.02
_CLEAN_LINE = b"\r\x1b[K\x1b[?25h"  # no half-drawn bar, and the cursor that it hid

_watch: "_Watch | None" = None


class Interrupted(KeyboardInterrupt):
    """The process was asked to leave.

    Attributes:
        signum: the signal that asked.
    """

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = int(signum)


@contextmanager
def graceful(grace: float = 8.0, message: str = "interrupted") -> Iterator[None]:
    """Answers signals in order while the block runs; the earlier handlers come back after it.

    Does nothing within another `graceful`, or outside the main thread, where none can be set. A
    signal that is ignored when the block begins, as in a job that a script starts by `&`, stays so.

    Args:
        grace: seconds after the first signal until the process leaves from wherever it is. Files
            must be written so that this is safe, see `bridge_tf.utils.files.replacing`.
        message: the line to leave with.
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
    """Within it a first signal is only noted; leaving the block then raises `Interrupted`."""
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
    """Within it the process leaves at the first signal: there is nothing to finish or to keep."""
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
    """The first signal that came, if one did."""
    return None if _watch is None else _watch.signum


def leave(signum: int) -> None:
    """Leaves with the message and the status of a signal, once all that mattered is done.

    Threads of native libraries that still run aren't waited for.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if _watch is not None:
        _watch.leave(signum)
    os._exit(128 + signum)


class _Watch:
    """Handlers of the signals, and the thread that watches over the time."""

    def __init__(self, grace: float, message: str):
        self.signum: int | None = None
        self.holders = 0
        self.hurried = 0
        self._grace = grace
        self._line = message.encode() + b"\n"
        self._leaving = threading.Lock()
        self._lost = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            self._reader, self._writer = socket.socketpair()
            stack.callback(self._reader.close)
            # Its own, since standard error is elsewhere while TensorFlow is imported.
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
                # None: set by native code, which Python can't set again.
                stack.callback(signal.signal, signum, handler or signal.SIG_DFL)
            yield

    def leave(self, signum: int) -> None:
        """Leaves with one line, unless another thread is about to."""
        if self._leaving.acquire(blocking=False):
            with contextlib.suppress(OSError):
                clean = _CLEAN_LINE if os.isatty(self._stderr) else b""
                os.write(self._stderr, clean + self._line)
            os._exit(128 + signum)

    def _handle(self, signum, frame) -> None:
        if self.signum is not None and not self._lost:
            return  # the thread sees to it
        self._lost = False
        self.signum = int(signum)
        if self.hurried:
            self.leave(signum)
        elif not self.holders:
            raise Interrupted(signum)

    def _unraisable(self, unraisable) -> None:
        """Sees to it that an `Interrupted` comes again that Python passes over, in destructors."""
        if isinstance(unraisable.exc_value, Interrupted):
            self._lost = True
            self._writer.send(_LOST)
        else:
            self._hook(unraisable)

    def _count(self) -> None:
        """Reads a byte for each signal; Python writes it whatever the main thread does."""
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
                time.sleep(_PAUSE)  # until the main thread is out of there
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
