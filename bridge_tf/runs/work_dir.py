"""The work directory: where a run keeps its files, and whose run it is."""

import contextlib
import importlib.metadata
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import filelock

from bridge_tf.config import Config
from bridge_tf.config.config_file import read_config_file
from bridge_tf.runs.manifest import Manifest
from bridge_tf.runs.run_files import FOLDERS, RunFiles
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import (
    check_writable,
    json_text,
    remove_empty,
    remove_partials,
    replacing,
)
from bridge_tf.utils.locks import locked
from bridge_tf.utils.paths import check_folder, check_place
from bridge_tf.utils.terminal import logger
from bridge_tf.utils.urls import without_credentials

_SHARED = ".manifest.lock"


def damage(path: pathlib.Path) -> str:
    """What to say of a damaged file."""
    return f"{path} isn't as it was written: damaged, or changed since; `repair` makes it again"


def versions() -> dict[str, str]:
    """Those of the packages that decide what a run computes."""
    packages = ("bridge_tf", "keras", "tensorflow")
    return {name: importlib.metadata.version(name) for name in packages}


class WorkDir(RunFiles):
    """A run's files, and which of them are done. Nothing is written before `claim`.

    `repair` makes damaged files again instead of refusing them.
    """

    def __init__(self, path: str | os.PathLike, repair: bool = False):
        super().__init__(path)
        self.repair = repair
        self.manifest = Manifest(self.path)
        self._lock = contextlib.nullcontext
        self._shared: pathlib.Path | None = None

    def remove_checkpoints(self, target: pathlib.Path) -> None:
        """Removes the checkpoints of a training whose result is saved, and what it leaves empty."""
        removed = self.checkpoints(target)
        shutil.rmtree(removed, ignore_errors=True)
        if not self._shared:  # else another process may be about to write there
            remove_empty(removed.parent, removed.parent.parent)

    def share(self) -> None:
        """Lets several processes write here, of which one holds the directory."""
        self._shared = self.path / _SHARED
        self.manifest.lock = filelock.FileLock(self._shared)

    def unshare(self) -> None:
        """Ends what `share` began, when the other processes have ended."""
        self.manifest.lock = contextlib.nullcontext()
        self._shared.unlink(missing_ok=True)
        self._shared = None
        remove_empty(*self.path.glob("checkpoints/*"), self.path / "checkpoints")

    @property
    def holds_a_run(self) -> bool:
        """Whether a run has claimed the directory."""
        return self.config.exists() or self.manifest.path.exists()

    @contextlib.contextmanager
    def held(self, wait: bool = False) -> Iterator[None]:
        """Locks the directory: at once if it holds a run, else from `claim` on.

        `wait` waits for another process that writes here; without it, that is an error.
        """
        with contextlib.ExitStack() as stack:

            def lock():
                stack.enter_context(locked(self.path, "workdir", wait))
                folders = [self.path / name for name in FOLDERS]
                for folder in (self.path, *folders, *self.path.glob("checkpoints/**/")):
                    if not folder.is_symlink():
                        remove_partials(folder)
                (self.path / _SHARED).unlink(missing_ok=True)  # of a killed process
                self._lock = contextlib.nullcontext  # it is held

            self._lock = lock
            self.check_writable()
            if self.holds_a_run:
                lock()
            yield

    def check_writable(self) -> None:
        """Checks that the directory and its folders can be written, else InputError."""
        check_writable("workdir", self.path)
        for folder in map(self.path.joinpath, FOLDERS):
            if folder.is_dir():
                check_writable("workdir", folder)

    def read_config(self) -> Config:
        """The configuration of the run; InputError if there is none or it can't be read."""
        self.check_readable()
        if not self.config.exists():
            raise InputError(
                f"`workdir`: {self.path} holds no config.json; name the work directory of a "
                "finished run"
            )
        remedy = "`repair` with the run's settings writes it again"
        if self.damaged(self.config):
            raise InputError(f"{self.config} isn't as the run wrote it; {remedy}")
        flags = read_config_file(self.config, remedy)["flags"]
        # Before there was `split_seed`, `seed` chose the validation images.
        flags = {"split_seed": flags.get("seed", 0)} | flags
        try:
            return Config(**flags)
        except (ValueError, TypeError, AttributeError) as error:  # values of other types
            raise InputError(f"{self.config} can't be read ({error}); {remedy}") from error

    def check_readable(self) -> None:
        """Checks that the directory can be one, and that files and folders in it are such.

        Raises:
            InputError: they aren't, or can't be read.
        """
        there = str(check_place("workdir", self.path)) == os.path.abspath(self.path)
        if not there:
            return
        check_folder(f"`workdir`: {self.path}", self.path)
        for path, what in self.misplaced():
            if path.parent == self.path and path.name in FOLDERS:
                raise InputError(
                    f"`workdir`: {path} is {what}, where a run has a folder; move it away"
                )
            if not self.repair:  # which sets it aside
                raise InputError(
                    f"`workdir`: {path} is {what}, where a run has a file; move it away, or make "
                    "it again with `repair`"
                )

    def check(self, config: Config) -> None:
        """Checks that the directory is free or holds the run of `config`, else InputError."""
        self.check_readable()
        for folder in self.linked_folders():
            raise InputError(
                f"`workdir`: {folder} is a link; a run keeps its files in its own directory: "
                "name a `workdir` on the disk that you want"
            )
        if self.repair:
            self._repair(config)
        known = self.manifest.read().get("fingerprint", config.fingerprint)
        if not self.config.exists() and known != config.fingerprint:
            raise InputError(
                f"`workdir`: {self.path} holds a run with other settings, and no config.json any "
                "more; use its settings or another `workdir`"
            )
        if self.config.exists():
            differences = config.differences(self.read_config())
            if differences:
                raise InputError(
                    f"`workdir`: {self.path} holds a run with other settings: "
                    f"{', '.join(differences)}; use these or another `workdir`"
                )

    def _repair(self, config: Config) -> None:
        """Sets damaged manifest.json and config.json aside."""
        known = None  # whose run it is, if the manifest can tell
        try:
            known = self.manifest.read().get("fingerprint")
        except InputError:
            self.set_aside(self.manifest.path)
        try:
            if self.config.exists():
                self.read_config()
        except InputError:
            if known in (None, config.fingerprint):
                self.set_aside(self.config)

    def claim(self, config: Config) -> None:
        """Makes the directory and writes config.json, unless it is there."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock()
        self.check(config)  # another process may have come first
        if not self.config.exists():
            content = {
                "flags": {
                    **config.to_json(),
                    "storage": without_credentials(config.storage),
                },
                "versions": versions(),
                "fingerprint": config.fingerprint,
            }
            self.write_json(self.config, content)
        elif self.state(self.config) == "unlisted":  # the manifest was repaired
            self.manifest.add(self.config, self.config)
        self.manifest.set("fingerprint", config.fingerprint)

    @contextlib.contextmanager
    def writing(
        self, target: pathlib.Path, sources: Sequence[pathlib.Path] = (), **notes
    ) -> Iterator[pathlib.Path]:
        """Gives a path to write to, which becomes `target`, listed with `sources` and `notes`."""
        with replacing(target) as partial:
            yield partial
            self.manifest.add(target, partial, sources, **notes)

    def write_json(self, target: pathlib.Path, content, sources: Sequence[pathlib.Path] = ()):
        """Writes plain data to `target`, as `writing` does."""
        with self.writing(target, sources) as partial:
            partial.write_text(json_text(content, target.name), encoding="utf-8")

    def state(self, target: pathlib.Path, sources: Sequence[pathlib.Path] = ()) -> str:
        """What is known of a file that is made from `sources`.

        "missing"; "unlisted" in the manifest; "damaged", or changed since; "replaced", where a
        process was killed before it could rename the new one; "outdated", made from others than
        `sources` are now; "current".
        """
        if not os.path.lexists(target):
            return "missing"
        if not target.is_file():
            return "damaged"
        entry = self.manifest.entry(target)
        if entry is None:
            return "unlisted"
        digest = self.manifest.digest(target)
        if digest != entry["sha256"]:
            return "replaced" if digest == entry.get("replaces") else "damaged"
        return "current" if entry["made_from"] == self.manifest.digests(sources) else "outdated"

    def damaged(self, path: pathlib.Path) -> bool:
        """Whether a listed file isn't as it was written."""
        return self.state(path) == "damaged"

    def verify(self, path: pathlib.Path) -> None:
        """Raises an InputError if a file isn't as it was written."""
        if self.damaged(path):
            raise InputError(damage(path))

    def current(self, target: pathlib.Path, sources: Sequence[pathlib.Path]) -> bool:
        """Whether a file that costs little to make again is current.

        A damaged one is set aside if it is to be repaired, else an InputError.
        """
        if self.repair and self.damaged(target):
            self.set_aside(target)
        self.verify(target)
        return self.state(target, sources) == "current"

    def bind(self, inputs: dict[str, str]) -> None:
        """Remembers digests of what the run is made from outside its directory, by settings.

        Raises:
            InputError: something isn't what it was when the run began.
        """
        for setting in self.changed(inputs):
            raise InputError(
                f"`{setting}`: isn't what it was when the run in {self.path} began; put that back, "
                "or use another `workdir`"
            )
        self.manifest.set("inputs", inputs)

    def changed(self, inputs: dict[str, str]) -> list[str]:
        """The settings whose things aren't what they were when the run began."""
        known = self.manifest.read().get("inputs", inputs)
        return [name for name, digest in inputs.items() if known.get(name) != digest]

    def retries(self) -> dict[str, list[str]]:
        """Why trainings were retried at a lower rate, by the names of their files."""
        entries = self.manifest.read()["files"]
        return {name: entry["retries"] for name, entry in entries.items() if "retries" in entry}

    def set_aside(self, path: pathlib.Path) -> None:
        """Renames a file that is to be made again to NAME.damaged, or NAME.damaged-2 and so on."""
        aside, number = path.with_name(f"{path.name}.damaged"), 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.damaged-{number}")
        os.replace(path, aside)
        logger.warning(f"{path} is kept as {aside.name} and made again")
        if path != self.manifest.path:
            self.manifest.remove(path)

    def need(self, paths: list[pathlib.Path], stage: str, before: str) -> None:
        """Raises an InputError naming the stages `before` if a file `stage` reads is missing."""
        for path in paths:
            if not path.exists():
                raise InputError(
                    f"`stages={stage}`: {path} is missing; run `stages={before}` first"
                )
