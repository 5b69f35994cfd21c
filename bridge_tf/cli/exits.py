"""Exit statuses and their messages.

0: done. 2: bad usage or bad input, with one line on standard error. 1: any other failure.
128 + the number of a signal: SIGINT or SIGTERM, with one line on standard error.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from bridge_tf.utils import signals
from bridge_tf.utils.errors import InputError, ParityError, TrainingError

_DISK_FULL = ("No space left on device", "Disk quota exceeded")


@contextmanager
def exiting(
    title: str, in_words: Callable[[str], str] = str, resumable: bool = False
) -> Iterator[None]:
    """Exits with the status of the block: success, or one of the failures above.

    A message begins with `title`; `in_words` rewrites settings in it as flags.
    """
    try:
        yield
        sys.stdout.flush()
    except signals.Interrupted as error:
        signals.leave(error.signum)
    except BrokenPipeError:
        # The reader of standard output, `head` for one, is gone. Python would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if signals.requested():
            # Native code turns an interruption into its own error.
            signals.leave(signals.requested())
        if full := _full_disk(error):
            again = "; what is done is kept: free" if resumable else "; free"
            _leave(title, f"{full}{again} some space and run it again", 1)
        if isinstance(error, InputError | ParityError | TrainingError):
            _leave(title, in_words(str(error)), 2 if isinstance(error, InputError) else 1)
        raise
    sys.exit(0)


def _leave(title: str, message: str, status: int) -> NoReturn:
    """Exits with one line on standard error."""
    print(f"{title}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


def _full_disk(error: BaseException | None) -> str | None:
    """A message if a full disk caused the error, else None."""
    while error is not None:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(error) for words in _DISK_FULL):
            path = getattr(error, "filename", None)
            return f"the disk is full ({path})" if isinstance(path, str) else "the disk is full"
        error = error.__cause__ or error.__context__
    return None
