"""Messages on the terminal while a command runs."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge_tf.utils.terminal import TerminalHandler, handled_by


class _InWords(logging.Formatter):
    """Puts messages of the library into words of the command line."""

    def __init__(self, in_words: Callable[[str], str]):
        super().__init__()
        self._in_words = in_words

    def format(self, record: logging.LogRecord) -> str:
        return self._in_words(super().format(record))


@contextmanager
def messages_on_terminal(verbosity: int, in_words: Callable[[str], str]) -> Iterator[None]:
    """Shows the messages that --verbosity asks for; afterwards all is as it was.

    Args:
        verbosity: -2 errors alone, -1 warnings and the progress of this package, 0 information, 1
            debugging.
        in_words: puts messages of the library into words of the command line.
    """
    level = max(logging.DEBUG, logging.WARNING - 10 * (verbosity + 1))
    own = TerminalHandler()
    own.setFormatter(_InWords(in_words))
    others = logging.StreamHandler()
    root, tensorflow = logging.getLogger(), logging.getLogger("tensorflow")
    before = root.level, tensorflow.level
    root.addHandler(others)
    root.setLevel(level)
    if level >= logging.WARNING:
        # Its warnings (of retracing, of names it changes) tell a user nothing.
        tensorflow.setLevel(logging.ERROR)
    try:
        silent = level > logging.WARNING
        lines = handled_by(own, level if silent else min(level, logging.INFO))
        with lines, warnings.catch_warnings():
            if silent:
                warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(others)
        root.setLevel(before[0])
        tensorflow.setLevel(before[1])
