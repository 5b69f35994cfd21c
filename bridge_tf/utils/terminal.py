"""Messages of the logger `bridge_tf`, and progress bars of commands."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

import rich.progress
from rich.console import Console

from bridge_tf.utils.errors import InputError

logger = logging.getLogger("bridge_tf")


def open_closed_streams() -> None:
    """Opens /dev/null for closed standard streams, before another file gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", closefd=False)


@contextlib.contextmanager
def usable_output() -> Iterator[None]:
    """During the block, characters that the encoding of standard output lacks become ?.

    Raises:
        InputError: standard output is closed, where the results go.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
        raise InputError("standard output is closed; leave it open, or send it to a file")
    stream, errors = sys.stdout, getattr(sys.stdout, "errors", None)
    if errors == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
        try:
            yield
        finally:
            stream.reconfigure(errors=errors)
    else:
        yield


class TerminalHandler(logging.Handler):
    """Prints messages to standard error, where progress bars may be drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        # Looked up each time: a progress bar replaces sys.stderr.
        print(self.format(record), file=sys.stderr, flush=True)


class _Listener(logging.Handler):
    def __init__(self, listener: Callable[[str], None]):
        super().__init__()
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener(record.getMessage())


@contextlib.contextmanager
def handled_by(handler: logging.Handler, level: int = logging.INFO) -> Iterator[None]:
    """During the block, messages of at least `level` go only to `handler`."""
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


@contextlib.contextmanager
def told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """During the block, progress lines and warnings go only to `listener`."""
    with handled_by(_Listener(listener)):
        yield


def shows_bars(console: Console) -> bool:
    """Whether progress bars are possible and wanted on a console."""
    # With FORCE_COLOR, rich takes a file for a terminal.
    drawn = console.file.isatty() and console.is_terminal and not console.is_dumb_terminal
    shown = any(isinstance(handler, TerminalHandler) for handler in logger.handlers)
    return drawn and shown and logger.isEnabledFor(logging.INFO)


def bar_console() -> Console:
    """A console on standard error for a progress bar."""
    # Else, before rich 14.3, one without a bar ends with an empty line.
    return Console(stderr=True, force_interactive=True)


def track(title: str, things: Sequence) -> Iterator:
    """Iterates over `things` with a progress bar; without a terminal, prints one line first."""
    console = bar_console()
    bar = shows_bars(console)
    if not bar:
        logger.info(title)
    yield from rich.progress.track(things, title, console=console, disable=not bar, transient=True)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hides standard error during the block; shows it only if the block fails.

    For native libraries that always log: LiteRT, and TensorFlow during its import, before it reads
    TF_CPP_MIN_LOG_LEVEL (tensorflow issue 100442).
    """
    sys.stderr.flush()
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(standard_error, written.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
