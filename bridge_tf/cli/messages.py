"""Messages on the terminal while a command runs."""

import logging as std_logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from absl import logging

from bridge_tf.utils.terminal import silent


@contextmanager
def messages_on_terminal(verbosity: int) -> Iterator[None]:
    """Shows messages from the level on that --verbosity names."""
    tensorflow = std_logging.getLogger("tensorflow")
    before = logging.get_verbosity(), tensorflow.level
    logging.set_verbosity(verbosity)
    try:
        with warnings.catch_warnings():
            if silent():
                warnings.simplefilter("ignore")
            if verbosity <= logging.WARNING:
                # Its warnings (of retracing, of names it changes) tell a user nothing.
                tensorflow.setLevel(std_logging.ERROR)
            yield
    finally:
        logging.set_verbosity(before[0])
        tensorflow.setLevel(before[1])
