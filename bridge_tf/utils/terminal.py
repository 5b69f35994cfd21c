"""Messages, which go by the logger `bridge_tf`, and bars where a command shows them."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

import rich.progress
from rich.console import Console

logger = logging.getLogger("bridge_tf")


class TerminalHandler(logging.Handler):
    """Shows messages as lines on standard error, and lets bars be drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        # Looked up each time: while a bar is drawn, lines go above it.
        print(self.format(record), file=sys.stderr, flush=True)


class _Listener(logging.Handler):
    def __init__(self, listener: Callable[[str], None]):
        super().__init__()
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self._listener(record.getMessage())


@contextlib.contextmanager
def handled_by(handler: logging.Handler, level: int = logging.INFO) -> Iterator[None]:
    """While the block runs, messages from a level on go to `handler`, and nowhere else."""
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
    """While the block runs, lines of progress and warnings go to `listener`, and nowhere else."""
    with handled_by(_Listener(listener)):
        yield


def shows_bars(console: Console) -> bool:
    """Whether bars can be drawn, and are wanted, on a console.

    What rich takes for a terminal may be a file, if FORCE_COLOR is set.
    """
    drawn = console.file.isatty() and console.is_terminal and not console.is_dumb_terminal
    shown = any(isinstance(handler, TerminalHandler) for handler in logger.handlers)
    return drawn and shown and logger.isEnabledFor(logging.INFO)


def track(title: str, things: Sequence) -> Iterator:
    """Goes through `things`, with a bar on a terminal; elsewhere one line when it begins."""
    console = Console(stderr=True)
    bar = shows_bars(console)
    if not bar:
        logger.info(title)
    yield from rich.progress.track(things, title, console=console, disable=not bar, transient=True)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what is written to standard error, and shows it only if the block fails.

    For native libraries that log without asking: TensorFlow while it is imported, before it reads
    TF_CPP_MIN_LOG_LEVEL (tensorflow issue 100442), and LiteRT's interpreter.
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
