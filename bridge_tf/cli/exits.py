"""Exit statuses, and the line that goes with them.

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
    """Leaves with an exit status when the block is done, or has failed in a way that has one.

    Args:
        title: the command, in front of a line.
        in_words: puts messages of the library into words of the command line.
        resumable: whether the command continues an interrupted run.
    """
    try:
        yield
        sys.stdout.flush()
    except signals.Interrupted as error:
        signals.leave(error.signum)
    except BrokenPipeError:
        # Who reads the results has left, as `head` does; Python would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if signals.requested():
            # Native code makes an error of its own of an interruption.
            signals.leave(signals.requested())
        if full := _full_disk(error):
            again = "; what is done is kept: free" if resumable else "; free"
            _leave(title, f"{full}{again} some space and run it again", 1)
        if isinstance(error, InputError | ParityError | TrainingError):
            _leave(title, in_words(str(error)), 2 if isinstance(error, InputError) else 1)
        raise
    sys.exit(0)


def _leave(title: str, message: str, status: int) -> NoReturn:
    """Leaves with one line on standard error."""
    print(f"{title}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


def _full_disk(error: BaseException | None) -> str | None:
    """What to say of an error that comes from a full disk; None of others."""
    while error is not None:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(error) for words in _DISK_FULL):
            path = getattr(error, "filename", None)
            return f"the disk is full ({path})" if isinstance(path, str) else "the disk is full"
        error = error.__cause__ or error.__context__
    return None
