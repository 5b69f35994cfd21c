"""The files that the machines of a cluster exchange."""

import contextlib
import pathlib
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.files import replacing
from bridge_tf.utils.terminal import logger
from bridge_tf.utils.urls import without_credentials

_SECONDS = 5.0


class Storage:
    """A folder that all machines see, laid out as a work directory; `folder` if it is a path.

    `shown` is its address in messages, without credentials.

    Args:
        url: a path, or what fsspec understands: gs://BUCKET/FOLDER, s3://…; protocols other than
            that of files need their own package (gcsfs, s3fs).

    Raises:
        InputError: it can't be opened.
    """

    def __init__(self, url: str):
        import fsspec

        self.folder = None if "://" in url else pathlib.Path(url).absolute()
        self.url = url if self.folder is None else str(self.folder)
        self.shown = without_credentials(self.url)
        try:
            if self.folder is not None:  # its name may look like some other thing
                self._fs, self._root = fsspec.filesystem("file"), self.url
            elif any(character in url for character in "*?["):
                raise ValueError("none of * ? [ may be in it")
            else:
                self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError) as error:
            raise InputError(
                f"`storage={self.shown}`: can't be opened ({self._why(error)}); name a folder or a "
                "URL of a protocol that fsspec has a package for"
            ) from error

    def probe(self) -> None:
        """Writes, reads and removes a small file; InputError if that fails."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                here = pathlib.Path(folder) / "probe"
                here.write_text("probe")
                name = f"checkpoints/probe-{uuid.uuid4().hex}"
                self.write(here, name)
                self.read(name, here.with_name("copy"))
                self.remove(name)
        except Exception as error:  # of whatever package the protocol has
            raise InputError(
                f"`storage={self.shown}`: can't be written and read ({self._why(error)}); name a "
                "folder or URL that can"
            ) from error

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of this name, which is relative to the root."""
        return self._fs.exists(self._path(name))

    def read(self, name: str, target: pathlib.Path) -> None:
        """Copies a file from here."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._fs.invalidate_cache()  # another machine may have written it
        self._fs.get_file(self._path(name), str(target))

    def write(self, source: pathlib.Path, name: str) -> None:
        """Copies a file to here, where it appears whole."""
        if self.folder is not None:
            with replacing(self.folder / name) as partial:
                shutil.copyfile(source, partial)
            return
        path = self._path(name)
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.put_file(str(source), path)

    def write_folder(self, folder: pathlib.Path, name: str) -> None:
        """Copies all files of a folder, but hidden ones, to here."""
        for path in [*folder.rglob("*")]:
            if path.is_file() and not path.name.startswith("."):
                self.write(path, f"{name}/{path.relative_to(folder).as_posix()}".lstrip("/"))

    def read_folder(self, name: str, target: pathlib.Path) -> None:
        """Copies all files of a folder, if there is one, from here."""
        self._fs.invalidate_cache()
        folder = self._path(name)
        for path in self._fs.find(folder) if self._fs.exists(folder) else ():
            inside = path.removeprefix(folder).lstrip("/")
            # Another machine may remove old ones meanwhile.
            with contextlib.suppress(FileNotFoundError):
                self.read(f"{name}/{inside}", target / inside)

    def remove(self, name: str) -> None:
        """Removes a file or folder, if it is there."""
        if self.folder is not None:
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            return
        for path in self._fs.find(self._path(name)):
            self._fs.rm_file(path)

    @contextlib.contextmanager
    def following(self, folder: pathlib.Path, names: list[str]) -> Iterator[None]:
        """Keeps the folders `names` here equal to those in `folder` while the block runs.

        What is in `folder` when it begins is taken to be here. Files must appear there whole, or
        grow. One that is removed there is removed here, unless it is the last of its folder:
        checkpoints stay until the result has come.
        """
        copied = _states(folder, names)
        over, failed = threading.Event(), False

        def follow():
            nonlocal failed
            try:
                self._follow(folder, names, copied)
            except Exception as error:  # the next round tries again
                if not failed:
                    logger.warning(
                        f"{self.shown}: checkpoints can't be kept there now ({self._why(error)})"
                    )
                failed = True

        def rounds():
            while not over.wait(_SECONDS):
                follow()

        thread = threading.Thread(target=rounds, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            follow()

    def _follow(self, folder: pathlib.Path, names: list[str], copied: dict) -> None:
        found = _states(folder, names)
        for name, state in found.items():
            if copied.get(name) != state:
                self.write(folder / name, name)
                copied[name] = state
        for name in copied.keys() - found.keys():
            if any(other.rpartition("/")[0] == name.rpartition("/")[0] for other in found):
                self.remove(name)
                del copied[name]

    @staticmethod
    def _why(error: Exception) -> str:
        return without_credentials(reason(error))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _states(folder: pathlib.Path, names: list[str]) -> dict[str, tuple]:
    """When the files of some folders were written, and their sizes, by their names."""
    found = {}
    for path in (path for name in names for path in (folder / name).rglob("*")):
        # One that is being written gets its name in the end.
        if path.is_file() and not path.name.startswith("."):
            state = path.stat()
            found[path.relative_to(folder).as_posix()] = state.st_mtime_ns, state.st_size
    return found
