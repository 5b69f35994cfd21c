"""Which task is next, and what becomes of its results."""

import contextlib
import os
import pathlib
from typing import TextIO

from bridge_tf.cluster.board import Board
from bridge_tf.cluster.storage import Storage
from bridge_tf.cluster.worker import outbox
from bridge_tf.config import STAGES
from bridge_tf.errors import InputError, ParityError, TrainingError, reason
from bridge_tf.files import sha256
from bridge_tf.pipeline import Pipeline
from bridge_tf.tasks import Task

_POLL_SECONDS = 0.2


class Driver:
    """Hands out the tasks of a prepared run, and takes their results into its work directory.

    Args:
        ray: the module, connected.
        pipeline: the run, within `Pipeline.prepared`.
        results: where the table goes.

    Attributes:
        waiting: the tasks that aren't done and don't run, by name.
    """

    def __init__(self, ray, pipeline: Pipeline, results: TextIO):
        self.ray, self.pipeline, self.results = ray, pipeline, results
        self.config, self.files, self.graph = pipeline.config, pipeline.files, pipeline.graph
        self.shared = not self.config.storage  # the work directory is the storage
        self.storage = Storage(self.config.storage or str(self.files.path.absolute()))
        stages = [stage for stage in STAGES if stage in pipeline.stages]
        self.waiting = {task.name: task for stage in stages for task in self.graph.of(stage)}
        self._running: dict[object, Task] = {}
        self._failed: dict[str, tuple[str, bool]] = {}
        self._stored: dict[str, str] = {}
        self._board = _board_actor(ray)
        self._remote = _remote(ray)

    def run(self, board: Board) -> None:
        """Until all tasks are done, or those that are left need one that has failed.

        Raises:
            InputError, TrainingError: a task has failed; the message names it.
        """
        if "modes" in self.pipeline.stages:
            self.pipeline.prepare("modes")
        for task in self.waiting.values():  # what isn't to be made must be there
            if task.is_training and not {*task.after} & self.waiting.keys():
                self.pipeline.check_sources(task)
        self.files.claim(self.config)
        self.files.bind(self.pipeline.inputs)
        while self.waiting or self._running:
            for task in self._ready():
                del self.waiting[task.name]
                self._begin(task, board)
            if not self._running and not self._ready():
                break
            self._collect(board)
        if not self.shared:
            self._store(self.files.path)
        self._raise_failures()

    def _ready(self) -> list[Task]:
        busy = {*self.waiting, *(task.name for task in self._running.values()), *self._failed}
        return [task for task in self.waiting.values() if not {*self._inputs(task)} & busy]

    def _inputs(self, task: Task) -> list[str]:
        """The tasks whose files another machine needs for this one.

        The base is among them: the operations of the others take its operations' names.
        """
        needs_base = task.after or (self.config.modes and task.stage == "baselines")
        return [*dict.fromkeys(["mode-0", *task.after])] if needs_base else []

    def _begin(self, task: Task, board: Board) -> None:
        try:
            if self._is_for_here(task):
                with contextlib.redirect_stdout(self.results):
                    self.pipeline.do(task)
                board.ended(task.name)
                return
            if task.stage == "bridges":
                self.pipeline.bridge_settings()  # a choice of taps is made once
            order = self._order(task)
        except (InputError, TrainingError, ParityError) as error:
            self._fail(task, board, str(error), isinstance(error, InputError))
            return
        config, gpus = self.config, self.config.ray_gpus
        options = {
            "name": task.name,
            "num_cpus": config.ray_cpus,
            "num_gpus": gpus,
            "memory": config.ray_memory * 2**30 or None,
            "max_retries": config.ray_retries,
        }
        board.begun(task.name)
        self._running[self._remote.options(**options).remote(order, self._board)] = task

    def _is_for_here(self, task: Task) -> bool:
        """Whether a task is done already, or costs so little that this process does it.

        Raises:
            InputError: what it reads, or its result, is damaged.
        """
        if task.is_training:
            self.pipeline.check_sources(task)
            return self.pipeline.is_done(task)
        return task.stage != "evaluate" or self.pipeline.is_evaluated()

    def _order(self, task: Task) -> dict:
        """What a worker is told; see `worker.work`."""
        paths = [Task(name).file(self.files) for name in self._inputs(task)]
        paths = [path for path in paths if path is not None]
        if task.stage in ("bridges", "evaluate"):
            paths.append(self.files.choice)
        if task.stage == "evaluate":
            paths = [*dict.fromkeys([*paths, *self.pipeline.measured_files])]
            paths += [self.files.artifacts, self.files.compressed]
            if not self.shared:
                self._store(self.files.all_logs)
        names = [path.relative_to(self.files.path).as_posix() for path in paths if path.exists()]
        known = self.files.manifest.read()["files"]
        for name in () if self.shared else names:
            if self._stored.get(name) != known[name]["sha256"]:
                self.storage.write(self.files.path / name, name)
                self._stored[name] = known[name]["sha256"]
        return {
            "config": self.config.to_json(),
            "task": task.name,
            "storage": self.storage.url,
            "entries": {name: known[name] for name in names},
            "inputs": self.pipeline.inputs,
            "cwd": os.getcwd(),
            "environment": {
                "KERAS_BACKEND": _backend(),
                "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
            },
        }

    def _collect(self, board: Board) -> None:
        """Shows what tasks say, and takes in the results of those that are done."""
        refs = [*self._running]
        ready, _ = self.ray.wait(refs, num_returns=len(refs), timeout=_POLL_SECONDS)
        for name, text in self.ray.get(self._board.take.remote()):
            board.line(name, text)
        for ref in ready:
            task = self._running.pop(ref)
            try:
                answer = self.ray.get(ref)
            except self.ray.exceptions.RayError as error:
                answer = {"error": _of_ray(error, self.config.ray_retries), "input": False}
            if "error" in answer:
                self._fail(task, board, answer["error"], answer["input"])
                continue
            try:
                self._take(task, answer["entries"])
            except (InputError, TrainingError) as error:
                self._fail(task, board, str(error), isinstance(error, InputError))
                continue
            board.ended(task.name)

    def _take(self, task: Task, entries: dict) -> None:
        """Takes a task's results into the work directory."""
        for name, entry in entries.items():
            target = self.files.path / name
            notes = {
                key: value
                for key, value in entry.items()
                if key not in ("sha256", "made_from", "replaces")
            }
            sources = [self.files.path / source for source in entry["made_from"]]
            with self.files.writing(target, sources, **notes) as partial:
                self.storage.read(f"{outbox(self.files, task)}/{name}", partial)
                if sha256(partial) != entry["sha256"]:
                    raise TrainingError(f"{name} didn't come as its node wrote it")
        target = task.file(self.files)
        if target is None:
            with contextlib.redirect_stdout(self.results):
                self.pipeline.take_evaluation()
        elif not self.shared:
            logs = self.files.logs(target)
            self.storage.read_folder(self._name(logs), logs)
        backup = self.files.backup(target or self.files.report)
        self.storage.remove(self._name(backup))
        self.files.remove_backup(target or self.files.report)

    def _name(self, path) -> str:
        return path.relative_to(self.files.path).as_posix()

    def _store(self, folder: pathlib.Path) -> None:
        """Copies a folder of the work directory to the storage."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                self.storage.write(path, self._name(path))

    def _fail(self, task: Task, board: Board, message: str, is_input: bool) -> None:
        self._failed[task.name] = message, is_input
        board.ended(task.name, f"failed: {message}")

    def _raise_failures(self) -> None:
        if not self._failed:
            return
        told = "; ".join(f"{name}: {message}" for name, (message, _) in self._failed.items())
        left = f"; not begun for it: {', '.join(self.waiting)}" if self.waiting else ""
        kind = InputError if all(x for _, x in self._failed.values()) else TrainingError
        raise kind(f"{told}{left}; what is done is kept")


def _backend() -> str:
    import keras

    return keras.backend.backend()


def _of_ray(error: Exception, retries: int) -> str:
    return f"its node or process died {retries + 1} times ({reason(error)})"


def _remote(ray):
    """The function that a worker process runs."""

    # Local, so that Ray sends it as it is: the settings must be there before the package, which
    # imports Keras, is imported.
    def do(order: dict, board) -> dict:
        import os

        os.environ.update(order["environment"])
        import ray

        from bridge_tf.cluster.worker import work

        node = ray.get_runtime_context().get_node_id()[:6]
        name = order["task"]
        board.tell.remote(name, f"begins on node {node}")
        return work(order, lambda text: board.tell.remote(name, text))

    return ray.remote(do)


def _board_actor(ray):
    """What tasks say, on this process's node, until it is shown."""

    class Lines:
        def __init__(self):
            self.lines = []

        def tell(self, name: str, text: str) -> None:
            self.lines.append((name, text))

        def take(self) -> list:
            lines, self.lines = self.lines, []
            return lines

    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Lines).options(num_cpus=0, scheduling_strategy=here).remote()
