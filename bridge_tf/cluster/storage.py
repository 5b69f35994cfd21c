"""The files that the machines of a cluster exchange."""

import contextlib
import pathlib
import threading
from collections.abc import Iterator

from bridge_tf.errors import InputError, reason

_SECONDS = 5.0


class Storage:
    """A folder that all machines see, laid out as a work directory.

    Args:
        url: a path, or what fsspec understands: gs://BUCKET/FOLDER, s3://…; protocols other than
            that of files need their own package (gcsfs, s3fs).

    Raises:
        InputError: it can't be opened.
    """

    def __init__(self, url: str):
        import fsspec

        self.url = url
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError) as error:
            raise InputError(
                f"--storage={url}: can't be opened ({reason(error)}); name a folder or a URL of a "
                "protocol that fsspec has a package for"
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
        """Copies a file to here."""
        path = self._path(name)
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.put_file(str(source), path)

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
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(name), recursive=True)

    @contextlib.contextmanager
    def following(self, folder: pathlib.Path, names: list[str]) -> Iterator[None]:
        """Keeps what is here of some folders equal to those in `folder`, while the block runs.

        Files must appear there whole, or grow. One that goes there goes here, but for the last of
        its folder: checkpoints go when the result has come.
        """
        copied: dict[str, tuple] = {}
        over = threading.Event()

        def follow():
            while not over.wait(_SECONDS):
                with contextlib.suppress(OSError):  # the next round tries again
                    self._follow(folder, names, copied)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with contextlib.suppress(OSError):
                self._follow(folder, names, copied)

    def _follow(self, folder: pathlib.Path, names: list[str], copied: dict) -> None:
        found = {}
        for path in (path for name in names for path in (folder / name).rglob("*")):
            # One that is being written gets its name in the end.
            if path.is_file() and not path.name.startswith("."):
                state = path.stat()
                found[path.relative_to(folder).as_posix()] = state.st_mtime_ns, state.st_size
        for name, state in found.items():
            if copied.get(name) != state:
                self.write(folder / name, name)
                copied[name] = state
        for name in copied.keys() - found.keys():
            if any(other.rpartition("/")[0] == name.rpartition("/")[0] for other in found):
                self.remove(name)
                del copied[name]

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
