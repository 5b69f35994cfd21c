"""The work directory: where a run keeps its files, and whose run it is."""

import importlib.metadata
import json
import os
import pathlib
import shutil

from bridge_tf.config import Config
from bridge_tf.errors import InputError
from bridge_tf.files import check_writable, write_json


class WorkDir:
    """Paths of a run's files. Nothing is written before `claim`.

    Args:
        path: the directory; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.ensemble = self.path / "ensemble.keras"
        self.report = self.path / "report.json"
        self.report_page = self.path / "report.md"
        self.exports = self.path / "export.json"

    def mode(self, index: int) -> pathlib.Path:
        return self.path / "modes" / f"{index}.keras"

    def curve(self, pair: tuple[int, int]) -> pathlib.Path:
        return self.path / "curves" / f"{pair[0]}-{pair[1]}.keras"

    def bridge(self, pair: tuple[int, int]) -> pathlib.Path:
        return self.path / "bridges" / f"{pair[0]}-{pair[1]}.keras"

    @property
    def choice(self) -> pathlib.Path:
        """Where a run with --taps=auto keeps what was chosen."""
        return self.path / "bridges" / "choice.json"

    def logs(self, target: pathlib.Path) -> pathlib.Path:
        """TensorBoard's folder for the training whose result is `target`."""
        return self.path / "logs" / target.relative_to(self.path).with_suffix("")

    def backup(self, target: pathlib.Path) -> pathlib.Path:
        """Where the training whose result is `target` keeps its checkpoint."""
        return self.path / "checkpoints" / target.relative_to(self.path).with_suffix("")

    def remove_backup(self, target: pathlib.Path) -> None:
        """Removes the checkpoint of a training whose result is saved, and what it leaves empty."""
        backup = self.backup(target)
        shutil.rmtree(backup, ignore_errors=True)
        for folder in (backup.parent, backup.parent.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def read_config(self) -> Config:
        """The configuration of the run that the directory holds.

        Raises:
            InputError: there is none, or it can't be read.
        """
        check_writable("--workdir", self.path)
        if not self.config.exists():
            raise InputError(
                f"--workdir: {self.path} holds no config.json; name the work directory of a "
                "finished bin/train"
            )
        try:
            return Config(**json.loads(self.config.read_text(encoding="utf-8"))["flags"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.config} can't be read ({error}); it must be as bin/train wrote it"
            ) from error

    def check(self, config: Config) -> None:
        """Checks that the directory is free or holds the run of `config`.

        Raises:
            InputError: it is a file, or holds another run; the flags that differ are named.
        """
        check_writable("--workdir", self.path)
        if self.config.exists():
            differences = config.differences(self.read_config())
            if differences:
                raise InputError(
                    f"--workdir: {self.path} holds a run with other flags: "
                    f"{', '.join(differences)}; use these flags or another --workdir"
                )

    def claim(self, config: Config) -> None:
        """Makes the directory and writes config.json, unless it is there."""
        self.check(config)
        if self.config.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        packages = ("bridge_tf", "keras", "tensorflow")
        versions = {name: importlib.metadata.version(name) for name in packages}
        content = {
            "flags": config.to_json(),
            "versions": versions,
            "fingerprint": config.fingerprint,
        }
        write_json(self.config, content)

    def stale(self, target: pathlib.Path, sources: list[pathlib.Path]) -> bool:
        """Whether `target` is missing or older than one of the files it is made from."""
        if not target.exists():
            return True
        made = target.stat().st_mtime_ns
        return any(path.exists() and path.stat().st_mtime_ns > made for path in sources)

    def need(self, paths: list[pathlib.Path], stage: str, before: str) -> None:
        """Checks that the files `stage` reads are there.

        Raises:
            InputError: one is missing; the message names the stages to run first.
        """
        for path in paths:
            if not path.exists():
                raise InputError(
                    f"--stages={stage}: {path} is missing; run --stages={before} first"
                )
