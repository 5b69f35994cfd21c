"""Zip archives, whose members are bounded before they are read."""

import os
import zipfile

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.memory import available_memory
from bridge_tf.utils.paths import open_file

# Members may be larger than what is stored of them by this factor, or as large as this.
_MOST_TIMES = 100
_ALWAYS = 64 << 20


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
    if size > max(_ALWAYS, times * stored):
        raise InputError(
            f"{given}: holds {stored / 1e6:,.1f} MB that would become {size / 1e6:,.1f} MB; {right}"
        )
    available = available_memory()
    if available is not None and size > available:
        raise InputError(
            f"{given}: holds {size / 1e9:,.1f} GB, {available / 1e9:,.1f} GB of memory are "
            f"available; {right}"
        )
    return size
