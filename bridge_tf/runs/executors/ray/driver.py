"""Which task is next, and what becomes of its results."""

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

import keras

from bridge_tf.runs.bridge_settings import bridge_settings
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.board import Board
from bridge_tf.runs.executors.ray import ENVIRONMENT
from bridge_tf.runs.executors.ray.exchange import Exchange
from bridge_tf.runs.executors.ray.remote import lines_of_tasks, remote_work
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.runs.stages import STAGES
from bridge_tf.runs.stages.evaluate.stage import is_evaluated
from bridge_tf.runs.status import check_sources, check_trained, is_done, measured_files
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.work_dir import versions
from bridge_tf.utils.errors import InputError, ParityError, TrainingError, reason

_POLL_SECONDS = 0.2


class Driver:
    """Hands out the tasks of a `prepared` run, and takes their results into its work directory.

    Args:
        ray: the module, connected.
        storage: where nodes exchange files; the work directory itself, or it becomes its copy.
        results: where the table goes.
    """

    def __init__(self, ray, run: Run, storage: Storage, results: TextIO):
        self.ray, self.run, self.results = ray, run, results
        self.config, self.files, self.graph = run.config, run.files, run.graph
        self.exchange = Exchange(run, storage)
        tasks = self.graph.tasks.items()
        self.waiting = {name: task for name, task in tasks if task.stage in run.stages}
        self._running: dict[object, Task] = {}
        self._failed: dict[str, tuple[str, bool]] = {}
        self._lines = lines_of_tasks(ray)
        self._remote = remote_work(ray)

    def finish(self, board: Board) -> None:
        """Does all tasks that need no failed one.

        Raises:
            InputError, TrainingError: a task has failed; the message names it.
        """
        self._check()
        self.files.claim(self.config)
        if any(task.is_training for task in self.waiting.values()):
            self.files.bind(self.run.inputs)
        self.exchange.begin()
        while self.waiting or self._running:
            for task in self._ready():
                del self.waiting[task.name]
                self._begin(task, board)
            if not self._running and not self._ready():
                break
            if self._running:
                self._collect(board)
        self.exchange.end([self.graph.tasks[name] for name in self._failed])
        self._raise_failures()

    def _check(self) -> None:
        """Finds what can be wrong before anything is written.

        Raises:
            InputError: the storage holds another run, network or taps are invalid, or a file is
                missing.
        """
        self.exchange.check()
        if "modes" in self.run.stages:
            STAGES["modes"].prepare(self.run)
        trainings = [task for task in self.waiting.values() if task.is_training]
        for task in trainings:
            if not {*task.after} & self.waiting.keys():
                check_sources(self.run, task)
        if not trainings:
            for task in self.waiting.values():
                check_trained(self.run, task.stage)

    def _ready(self) -> list[Task]:
        """The tasks that can be begun; the export, which this process makes, when all else is."""
        busy = {*self.waiting, *(task.name for task in self._running.values()), *self._failed}
        ready = [task for task in self.waiting.values() if not {*self._inputs(task)} & busy]
        others = [task for task in ready if task.name != "export"]
        return others if others or self._running else ready

    def _inputs(self, task: Task) -> list[str]:
        """The tasks whose files another machine needs for this one.

        The base is among them: the operations of the others take its operations' names.
        """
        needs_base = task.after or (self.config.modes and task.stage == "baselines")
        return [*dict.fromkeys(["mode-0", *task.after])] if needs_base else []

    def _begin(self, task: Task, board: Board) -> None:
        config = self.config
        options = {
            "name": task.name,
            "num_cpus": config.ray_cpus,
            "num_gpus": config.ray_gpus,
            "memory": config.ray_memory * 2**30 or None,
            "max_retries": config.ray_retries,
        }
        with self._failing(task, board):
            if self._is_for_here(task):
                with contextlib.redirect_stdout(self.results):
                    STAGES[task.stage].do(self.run, task)
                board.ended(task.name)
                return
            if task.stage == "bridges":
                bridge_settings(self.run)  # a choice of taps is made once
            ref = self._remote.options(**options).remote(self._order(task), self._lines)
            self._running[ref] = task
            board.begun(task.name)

    @contextlib.contextmanager
    def _failing(self, task: Task, board: Board) -> Iterator[None]:
        """Makes an error of one task no end of the others."""
        try:
            yield
        except (InputError, TrainingError, ParityError) as error:
            self._fail(task, board, str(error), isinstance(error, InputError))
        except self.ray.exceptions.RayError:  # it's lost as a whole
            raise
        except Exception as error:
            self._fail(task, board, f"{type(error).__name__}: {reason(error)}", False)

    def _is_for_here(self, task: Task) -> bool:
        """Whether a task is done, or this process does it; InputError if a file is damaged."""
        if task.is_training:
            check_sources(self.run, task)
            return is_done(self.run, task)
        return task.stage != "evaluate" or is_evaluated(self.run)

    def _order(self, task: Task) -> dict:
        """What a worker is told; see `worker.work`."""
        paths = [Task(name).file(self.files) for name in self._inputs(task)]
        paths = [path for path in paths if path is not None]
        if task.stage in ("bridges", "evaluate"):
            paths.append(self.files.choice)
        if task.stage == "evaluate":
            paths = [*dict.fromkeys([*paths, *measured_files(self.run)])]
            paths += [self.files.artifacts, self.files.compressed]
        return {
            "config": self.config.to_json(),
            "task": task.name,
            "storage": self.exchange.storage.url,
            "entries": self.exchange.send(task, paths),
            "inputs": self.run.inputs,
            "cwd": os.getcwd(),
            "versions": versions(),
            "environment": {
                "KERAS_BACKEND": keras.backend.backend(),
                **{name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()},
            },
        }

    def _collect(self, board: Board) -> None:
        """Shows what tasks say, and takes in the results of those that are done."""
        refs = [*self._running]
        ready, _ = self.ray.wait(refs, num_returns=len(refs), timeout=_POLL_SECONDS)
        for name, text in self.ray.get(self._lines.take.remote()):
            board.line(name, text)
        for ref in ready:
            task = self._running.pop(ref)
            with self._failing(task, board):
                result = self._result(ref)
                if "error" in result:
                    raise (InputError if result["input"] else TrainingError)(result["error"])
                with contextlib.redirect_stdout(self.results):
                    self.exchange.take(task, result)
                board.ended(task.name)

    def _result(self, ref) -> dict:
        """What a worker has returned; TrainingError if it couldn't."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(ref)
        except errors.RayTaskError as error:  # before `work`, as where the package isn't there
            cause = error.cause
            raise TrainingError(f"on its node, {type(cause).__name__}: {reason(cause)}") from error
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            times = self.config.ray_retries + 1
            what = "time" if times == 1 else "times"
            raise TrainingError(
                f"its node or process died {times} {what} ({reason(error)})"
            ) from error

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
