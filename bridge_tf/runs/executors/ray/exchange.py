"""What goes between a run's work directory and the storage that nodes see."""

import pathlib
import tempfile

from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.runs.executors.ray.worker import outbox
from bridge_tf.runs.manifest import Manifest
from bridge_tf.runs.stages.evaluate.stage import take_evaluation
from bridge_tf.runs.task_graph import Task
from bridge_tf.training.callbacks.tensorboard import remove_events
from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.files import sha256


class Exchange:
    """Copies files between the work directory of this process and the storage that nodes see.

    The storage is the work directory itself, or it becomes a copy of it.
    """

    def __init__(self, run: Run, storage: Storage):
        self.run, self.storage = run, storage
        self.files = run.files
        self.shared = storage.folder == self.files.path.absolute()
        self._sent: dict[str, str] = {}

    def check(self) -> None:
        """Raises an InputError if the storage holds another run."""
        name = self.files.manifest.path.name
        if self.shared or not self.storage.exists(name):
            return
        with tempfile.TemporaryDirectory() as folder:
            self.storage.read(name, pathlib.Path(folder) / name)
            there = Manifest(pathlib.Path(folder)).read()
        inputs = there.get("inputs", self.run.inputs)
        same = there.get("fingerprint") == self.run.config.fingerprint
        if not same or inputs != self.run.inputs:
            raise InputError(
                f"`storage={self.storage.shown}`: holds a run with other settings or data; name "
                "another place"
            )

    def begin(self) -> None:
        """Lets the storage tell whose run it holds."""
        if not self.shared:
            self.storage.write(self.files.manifest.path, self.files.manifest.path.name)

    def send(self, task: Task, paths: list[pathlib.Path]) -> dict[str, dict]:
        """Gives the storage what a task reads, and its checkpoints and logs so far.

        Returns:
            The manifest's entries of those of `paths` that are there.
        """
        known = self.files.manifest.read()["files"]
        paths = {self._name(path): path for path in paths if path.exists()}
        for name, path in paths.items():
            if name not in known:  # the manifest was repaired
                self.files.manifest.add(path, path)
        known = self.files.manifest.read()["files"]
        entries = {name: known[name] for name in paths}
        if self.shared:
            return entries
        for name, entry in entries.items():
            if self._sent.get(name) != entry["sha256"]:
                self.storage.write(paths[name], name)
                self._sent[name] = entry["sha256"]
        target = task.file(self.files)
        folders = [self.files.checkpoints(target), self.files.logs(target)] if target else []
        for folder in folders or [self.files.all_logs]:
            self.storage.write_folder(folder, self._name(folder))
        return entries

    def take(self, task: Task, result: dict) -> None:
        """Takes a worker's results into the work directory; TrainingError if a file is damaged."""
        box, target = outbox(self.files, task, result["attempt"]), task.file(self.files)
        for name, entry in result["entries"].items():
            notes = {
                key: value
                for key, value in entry.items()
                if key not in ("sha256", "made_from", "replaces")
            }
            sources = [self.files.path / source for source in entry["made_from"]]
            with self.files.writing(self.files.path / name, sources, **notes) as partial:
                self.storage.read(f"{box}/{name}", partial)
                if sha256(partial) != entry["sha256"]:
                    raise TrainingError(f"{name} didn't come as its node wrote it")
        if target is None:
            take_evaluation(self.run)
        elif not self.shared:
            logs = self.files.logs(target)
            remove_events(logs)  # the worker has written others
            self.storage.read_folder(self._name(logs), logs)
        target = target or self.files.report
        self.storage.remove(self._name(self.files.checkpoints(target)))
        self.files.remove_checkpoints(target)

    def end(self, unfinished: list[Task]) -> None:
        """Brings what tasks that aren't done have got to, and makes the storage a copy."""
        if self.shared:
            return
        for target in (task.file(self.files) for task in unfinished):
            if target is not None:
                folder = self.files.checkpoints(target)
                self.storage.read_folder(self._name(folder), folder)
        self.storage.write_folder(self.files.path, "")

    def _name(self, path: pathlib.Path) -> str:
        return path.relative_to(self.files.path).as_posix()
