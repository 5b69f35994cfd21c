"""Paths that a user names: what is there, and whether it can be opened, listed or made.

Only files and folders are used. FIFOs, devices and sockets would block, or never end.
"""

import os
import pathlib
import stat
from typing import BinaryIO

from bridge_tf.utils.errors import InputError, reason, without_controls

_LONGEST_NAME = 255  # bytes
_LONGEST_PATH = 3700  # bytes of a folder: Linux allows 4096, names of a run's files included
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(given: str, path: str | os.PathLike, right: str = "name a file") -> pathlib.Path:
    """Returns `path` if it is a file that can be read, else an InputError.

    The message begins with `given`, the setting with its value, and ends with `right`.
    """
    _refuse_other(given, _look(given, path, right, "file"), "file", right)
    try:
        with open_file(path):
            return pathlib.Path(path)
    except OSError as error:
        raise InputError(f"{given}: can't be read ({reason_of(error)}); {right}") from error


def check_folder(
    given: str, path: str | os.PathLike, right: str = "name a folder"
) -> list[os.DirEntry]:
    """The entries of the folder `path`, sorted; an InputError if it is none or can't be listed."""
    _refuse_other(given, _look(given, path, right, "folder"), "folder", right)
    try:
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        os.stat(os.path.join(path, os.curdir))  # a folder may be listed but not entered
        return found
    except OSError as error:
        raise InputError(f"{given}: can't be listed ({reason_of(error)}); {right}") from error


def check_file_or_folder(given: str, path: str | os.PathLike, right: str) -> None:
    """Checks a path that may be either; one at which nothing is passes.

    Raises:
        InputError: it can't be opened, or is something else.
    """
    if not is_there(given, path, right):
        return
    if os.path.isdir(path):
        check_folder(given, path, right)
    else:
        check_file(given, path, right)


def check_tree(given: str, folder: str | os.PathLike, right: str = "remove it") -> None:
    """Checks that all folders below `folder` can be listed and hold only files and folders.

    Links that lead nowhere pass.

    Raises:
        InputError: one can't, or there is something else; the message names it.
    """
    waiting, seen = [os.fspath(folder)], set()
    while waiting:
        current = waiting.pop()
        if (place := os.path.realpath(current)) in seen:
            continue
        seen.add(place)
        for entry in check_folder(f"{given}: {shown(current)}", current, "make it readable"):
            if entry.is_dir():
                waiting.append(entry.path)
            elif not entry.is_file() and os.path.exists(entry.path):
                what = kind_of(os.stat(entry.path))
                raise InputError(f"{given}: {shown(entry.path)} is {what}, no file; {right}")


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Opens a file to read bytes; doesn't wait for a FIFO or device.

    Raises:
        InputError: it is no file.
        OSError: it can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{shown(path)}: is {kind_of(found)}, no file; move it away")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: str | os.PathLike) -> str:
    """The text of a file in UTF-8; errors as in `open_file`, or a UnicodeDecodeError."""
    with open_file(path) as file:
        return file.read().decode("utf-8")


def is_there(given: str, path: str | os.PathLike, right: str) -> bool:
    """Whether there is something at `path`.

    Raises:
        InputError: no file can have this name, a link leads nowhere, or the folder can't be read.
    """
    return _look(given, path, right, None) is not None


def check_place(argument: str, folder: str | os.PathLike) -> pathlib.Path:
    """The nearest folder of `folder` that exists, itself if it does; writes nothing.

    Raises:
        InputError: the folder can't be made there.
    """

    def refuse(why: str) -> InputError:
        return InputError(
            f"`{argument}`: can't write in {shown(folder)} ({why}); name a folder that can be "
            "written"
        )

    existing = pathlib.Path(os.path.abspath(folder)) if "\0" not in str(folder) else None
    if existing is None or not _encodes(folder):
        raise refuse("no folder can have this name")
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in existing.parts):
        raise refuse("File name too long")
    if len(os.fsencode(existing)) > _LONGEST_PATH:
        raise refuse("path too long")
    while True:
        try:
            found = os.stat(existing)
            break
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(existing):
                raise refuse(f"{shown(existing)} is a link that leads nowhere") from None
            existing = existing.parent
        except OSError as error:
            raise refuse(reason_of(error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise refuse(f"{shown(existing)} is {kind_of(found)}")
    return existing


def kind_of(found: os.stat_result) -> str:
    """What is there, as "a FIFO"."""
    return next((name for test, name in _KINDS if test(found.st_mode)), "something else")


def shown(path: str | os.PathLike, most: int = 200) -> str:
    """A path in a message: at most `most` characters, none of them a control."""
    text = without_controls(str(path))
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def reason_of(error: OSError) -> str:
    """The reason of the system's refusal, without the path."""
    return error.strerror or reason(error)


def _look(given: str, path, right: str, kind: str | None) -> os.stat_result | None:
    """What is at `path`; None, or an InputError if a `kind` is needed, if nothing is."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        why = f"there is no such {kind}" if kind else None
        if os.path.islink(path):
            why = "is a link that leads nowhere"
    except OSError as error:
        why = f"can't be opened ({reason_of(error)})"
    except ValueError:  # NULs and lone surrogates
        why = "no file can have this name"
    if why:
        raise InputError(f"{given}: {why}; {right}")
    return None


def _refuse_other(given: str, found: os.stat_result, kind: str, right: str) -> None:
    if not (stat.S_ISREG if kind == "file" else stat.S_ISDIR)(found.st_mode):
        raise InputError(f"{given}: is {kind_of(found)}, no {kind}; {right}")


def _encodes(path: str | os.PathLike) -> bool:
    try:
        str(path).encode()
        return True
    except UnicodeEncodeError:
        return False
