"""Zip archives, whose members are bounded before they are read."""

import os
import zipfile

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.memory import available_memory
from bridge_tf.utils.paths import open_file

# What is unpacked may be larger than what is stored of it by this factor, or as large as this.
_MOST_TIMES = 100
_ALWAYS = 64 << 20
# The factor for arrays: if they are all alike, they are packed into a thousandth.
TIMES_OF_ARRAYS = 2000


def check_archive(given: str, path: str | os.PathLike, right: str, times: int = _MOST_TIMES) -> int:
    """Checks a zip archive without unpacking it; the bytes that its members hold.

    Args:
        given, right: begin and end the message.
        times: how much larger than in the archive all members may be, above 64 MiB.

    Raises:
        InputError: it is no zip archive, or its members are too large.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        size, stored = sum(m.file_size for m in members), os.path.getsize(path)
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(f"{given}: can't be read ({reason(error)}); {right}") from error
    check_growth(f"{given}:", size, stored, right, times)
    available = available_memory()
    if available is not None and size > available:
        raise InputError(
            f"{given}: holds {size / 1e9:,.1f} GB, {available / 1e9:,.1f} GB of memory are "
            f"available; {right}"
        )
    return size


def check_growth(
    subject: str, size: int, stored: int, right: str, times: int = _MOST_TIMES
) -> None:
    """Raises an InputError if `stored` bytes would become too many, `size`, when unpacked.

    `subject` and `right` begin and end the message.
    """
    if size > max(_ALWAYS, times * stored):
        raise InputError(
            f"{subject} holds {stored / 1e6:,.1f} MB that would become {size / 1e6:,.1f} MB; "
            f"{right}"
        )
