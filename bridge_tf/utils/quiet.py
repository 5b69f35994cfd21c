"""Keeping the start-up messages of native libraries from standard error."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
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
