"""Atomic writing of files: no reader ever sees half of one."""

import errno
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.paths import check_place, open_file, reason_of

_PARTIAL = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "File too large")


def check_writable(argument: str, folder: str | os.PathLike) -> pathlib.Path:
    """Returns `folder`, which need not exist; an InputError if files can't be written to it."""
    try:
        with tempfile.TemporaryFile(dir=check_place(argument, folder)):
            return pathlib.Path(folder)
    except OSError as error:
        raise InputError(
            f"`{argument}`: can't write in {folder} ({reason_of(error)}); name a folder that can "
            "be written"
        ) from error


def is_full(error: BaseException) -> bool:
    """Whether a disk is full, a quota is used up, or a file may not become as large."""
    number = getattr(error, "errno", None)
    return number in _FULL or any(words in str(error) for words in _FULL_WORDS)


def sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file, in hexadecimal; errors as in `open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: pathlib.Path, content) -> None:
    """Writes `content` to a JSON file, atomically; errors as in `json_text`."""
    with replacing(path) as partial:
        partial.write_text(json_text(content, path.name), encoding="utf-8")


def json_text(content, name: str) -> str:
    """The text of a JSON file; a TrainingError with its name if a number isn't finite."""
    try:
        return json.dumps(content, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise TrainingError(
            f"{name}: a figure isn't a finite number; train again at a lower rate"
        ) from error


@contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; renames it to `path` if the block succeeds.

    The content is flushed to the disk first, so even a crash of the machine leaves no partial file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{_PARTIAL}{path.name}")
    partial.unlink(missing_ok=True)  # it may be a link to another place
    try:
        yield partial
        _to_disk(partial)
        os.replace(partial, path)
        _to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: pathlib.Path) -> None:
    """Removes the temporary files of killed processes from `folder`."""
    for path in folder.glob(f"{_PARTIAL}*"):
        if path.is_file() or path.is_symlink():
            path.unlink()


def remove_empty(*folders: pathlib.Path) -> None:
    """Removes those of the folders, in their order, that are there and empty."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def folder_to_disk(folder: pathlib.Path) -> None:
    """Flushes all files below `folder` to the disk."""
    for path in [*folder.rglob("*"), folder]:
        _to_disk(path)


def _to_disk(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_space(argument: str, folder: str | os.PathLike, wanted: int, what: str) -> None:
    """Raises an InputError if the disk of `folder` has less than `wanted` bytes free.

    The folder need not exist. `argument` (its setting) and `what` (the files) are for the message.
    """
    existing = pathlib.Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < wanted:
        raise InputError(
            f"`{argument}`: {what} will take {wanted / 1e6:,.1f} MB in {folder}, whose disk has "
            f"{free / 1e6:,.1f} MB left; free some space or name a folder on another disk"
        )
