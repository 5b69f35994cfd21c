"""What a work directory holds, with a digest of each file, so that nothing wrong is ever used."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from bridge_tf.utils.files import sha256, write_json
from bridge_tf.utils.json_files import Text, read_json


class Entry(TypedDict):
    """A finished file; `Manifest.add` may remember more of it."""

    sha256: Text
    made_from: dict[str, Text]
    replaces: NotRequired[Text]


class Content(TypedDict):
    """manifest.json."""

    files: dict[str, Entry]
    fingerprint: NotRequired[Text]
    inputs: NotRequired[dict[str, Text]]
    sha256: Text


_SCHEMA = TypeAdapter(Content)


class Manifest:
    """The finished files of a work directory, in its manifest.json.

    {"files": {NAME: {"sha256", "made_from": {NAME: sha256, …}, …}}, "fingerprint", "inputs",
    "sha256"}: names are relative to the directory, "fingerprint" is the configuration's, "inputs"
    are digests of what isn't in the directory, "sha256" is of the rest and reveals damage. An
    entry is written before its file gets its name: what is listed is whole or isn't there.

    `lock` keeps other processes away while the file is changed.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.path = folder / "manifest.json"
        self._digests: dict[tuple, str] = {}
        self._parsed: tuple[tuple, dict] | None = None
        self.lock: contextlib.AbstractContextManager = contextlib.nullcontext()

    def read(self) -> dict:
        """The content, {"files": {…}, …}; InputError if it is damaged."""
        if not self.path.exists():
            return {"files": {}}
        remedy = "`repair` lists the files anew"
        content = read_json(self.path, _SCHEMA, "a manifest", remedy, _check_digest)
        return {name: value for name, value in content.items() if name != "sha256"}

    def entry(self, path: pathlib.Path) -> dict | None:
        """What is known of a file; None if it isn't listed."""
        return self._entries().get(self._name(path))

    def _entries(self) -> dict[str, dict]:
        """All entries, read again only when the file is another, since there may be thousands."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return {}
        key = found.st_mtime_ns, found.st_size, found.st_ino
        if self._parsed is None or self._parsed[0] != key:
            self._parsed = key, self.read()["files"]
        return self._parsed[1]

    def add(
        self,
        path: pathlib.Path,
        written: pathlib.Path,
        sources: Sequence[pathlib.Path] = (),
        **notes,
    ) -> None:
        """Lists the file `path`, made from `sources`, with `notes` as plain data.

        Its content is in `written`, which is another file until it gets its name.
        """
        earlier = self.digest(path) if path.exists() and path != written else None
        entry = {
            "sha256": sha256(written),
            "made_from": self.digests(sources),
            # Until the rename the name still stands for these.
            **({"replaces": earlier} if earlier else {}),
            **notes,
        }
        self.take({self._name(path): entry})

    def take(self, entries: dict[str, dict]) -> None:
        """Lists files by their entries, as another work directory's manifest has them."""
        with self.lock:
            content = self.read()
            self._write({**content, "files": {**content["files"], **entries}})

    def remove(self, path: pathlib.Path) -> None:
        """Takes a file off the list."""
        with self.lock:
            content = self.read()
            if content["files"].pop(self._name(path), None):
                self._write(content)

    def set(self, name: str, value) -> None:
        """Remembers something of the whole run, as plain data."""
        with self.lock:
            content = self.read()
            if content.get(name) != value:
                self._write({**content, name: value})

    def digest(self, path: pathlib.Path) -> str:
        """SHA-256 of a file, computed once unless it changes."""
        found = path.stat()
        key = (path, found.st_mtime_ns, found.st_size, found.st_ino)
        if key not in self._digests:
            self._digests[key] = sha256(path)
        return self._digests[key]

    def digests(self, paths: Sequence[pathlib.Path]) -> dict[str, str]:
        """SHA-256 of those files that are there, by name."""
        return {self._name(path): self.digest(path) for path in paths if path.exists()}

    def _name(self, path: pathlib.Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _write(self, content: dict) -> None:
        write_json(self.path, {**content, "sha256": _digest(content)})


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check_digest(content: dict) -> None:
    if content["sha256"] != _digest({k: v for k, v in content.items() if k != "sha256"}):
        raise ValueError("its checksum is wrong")
