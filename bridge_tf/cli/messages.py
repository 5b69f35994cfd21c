"""Messages on the terminal while a command runs."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge_tf.utils.terminal import TerminalHandler, handled_by
from bridge_tf.utils.urls import without_credentials


class _InWords(logging.Formatter):
    """Rewrites settings in messages of the library as flags."""

    def __init__(self, in_words: Callable[[str], str]):
        super().__init__()
        self._in_words = in_words

    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(self._in_words(super().format(record)))


@contextmanager
def messages_on_terminal(verbosity: int, in_words: Callable[[str], str]) -> Iterator[None]:
    """Shows messages, rewritten by `in_words`, during the block; restores all settings after it.

    `verbosity`: -2 only errors, -1 also warnings and the progress of this package, 0 also
    information, 1 also debugging.
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
        # TensorFlow's warnings (retracing, changed names) are of no use to a user.
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
