"""Writing files so that nobody ever sees half of one."""

import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bridge_tf.errors import InputError


def check_writable(flag: str, folder: str | os.PathLike) -> pathlib.Path:
    """`folder` as a path, once it is known that files can be written there.

    Args:
        flag: the flag that named the folder, for the message.
        folder: it need not exist yet. Nothing stays of the attempt.

    Raises:
        InputError: files can't be written there.
    """
    folder = pathlib.Path(folder)
    try:
        existing = folder
        while not existing.exists():
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing):
            return folder
    except OSError as error:
        raise InputError(
            f"{flag}: can't write in {folder} ({error.strerror}); name a folder that can be written"
        ) from error


def sha256(path: pathlib.Path) -> str:
    """Digest of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: pathlib.Path, content) -> None:
    """Writes `content` so that a reader sees the whole file or none."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a name beside `path` to write to, and renames it to `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
