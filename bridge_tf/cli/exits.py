"""Exit statuses and their messages.

0: done. 2: bad usage or bad input, with one line on standard error. 1: any other failure.
128 + the number of a signal: SIGINT or SIGTERM, with one line on standard error.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from bridge_tf.utils import signals
from bridge_tf.utils.errors import InputError, ParityError, TrainingError, without_controls
from bridge_tf.utils.extras import EXTRAS, install
from bridge_tf.utils.files import is_full
from bridge_tf.utils.urls import without_credentials

# Errors at a path that the user can mend.
_AT_A_PATH = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR),
    errno.EEXIST,
    *(errno.ENAMETOOLONG, errno.ELOOP),
)
# Of TensorFlow and XLA.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "OOM when allocating", "std::bad_alloc")
_MEMORY = (
    "out of memory; take a smaller `batch_size`, a smaller network or fewer images, or a machine "
    "with more"
)


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
        _drop_output()
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
        if any(map(_is_out_of_memory, _causes(error))):
            _leave(title, in_words(_MEMORY), 1)
        if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
            # Keras imports its backend itself.
            _leave(title, f"no module {error.name}; {install(error.name)} has it", 2)
        if isinstance(error, OSError) and error.errno in _AT_A_PATH and error.filename is not None:
            right = "name a place that can be read and written"
            _leave(title, f"{error.filename}: {error.strerror}; {right}", 2)
        _show_traceback(error)
        raise
    sys.exit(0)


def _leave(title: str, message: str, status: int) -> NoReturn:
    """Exits with one line on standard error."""
    line = without_credentials(" ".join(message.split()))
    print(f"{title}: {without_controls(line)}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # or Python would say so at its exit
        _drop_output()
    sys.exit(status)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_traceback(error: Exception) -> None:
    """Exits with the traceback if there are credentials in it, which are left out then."""
    text = "".join(traceback.format_exception(error))
    if without_credentials(text) != text:
        print(without_credentials(text), end="", file=sys.stderr)
        sys.exit(1)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its cause, and so on."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    full = type(error).__name__ == "ResourceExhaustedError"
    return isinstance(error, MemoryError) or full or any(x in str(error) for x in _OUT_OF_MEMORY)


def _full_disk(error: BaseException) -> str | None:
    """A message if a full disk caused the error, else None."""
    for cause in _causes(error):
        if is_full(cause):
            path = getattr(cause, "filename", None)
            place = f" ({path})" if isinstance(path, str) else ""
            limit = getattr(cause, "errno", None) == errno.EFBIG or "File too large" in str(cause)
            what = "the disk is full, or files may not be as large" if limit else "the disk is full"
            return f"{what}{place}"
    return None
