"""Trainings handed out to processes of this machine."""

import contextlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing import connection

from bridge_tf.runs.bridge_settings import bridge_settings
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.board import Board
from bridge_tf.runs.executors.jobs.count import Count
from bridge_tf.runs.executors.jobs.worker import Order, serve
from bridge_tf.runs.stages import STAGES
from bridge_tf.runs.stages.evaluate.pages import add_artifacts
from bridge_tf.runs.task_graph import Task
from bridge_tf.utils.errors import TrainingError
from bridge_tf.utils.terminal import logger

_END_SECONDS = 8.0  # as long as a process may take to save a checkpoint


class Jobs:
    """Does a run's tasks: trainings in as many processes as `jobs` says, all else in this one, but
    the evaluation beside the export. With `threads`, no training is in this one.

    A context manager: at its end the processes end, after they have saved their checkpoints. The
    files are byte for byte those of `jobs=1`, since each training has its own seed, and as many
    threads as it would have alone.
    """

    def __init__(self, run: Run):
        self.run = run
        self._count = Count(run)
        self._workers: list[_Worker] = []
        self._evaluating: _Worker | None = None

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *error) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_END_SECONDS)
            worker.process.kill()
        if self._workers:
            self.run.files.unshare()
        self._workers = []

    def do(self, tasks: Sequence[Task]) -> None:
        """Does the tasks of a stage; errors are those of the stage."""
        trainings = [task for task in tasks if task.is_training]
        apart = bool(self.run.config.threads)
        while trainings and not apart and self._count.of(len(trainings)) == 1:
            task = trainings.pop(0)
            with self._count.training():
                STAGES[task.stage].do(self.run, task)
        if trainings:
            self._do_side_by_side(trainings)
        aside = self._workers and not apart  # where all cores may be used
        for task in tasks:
            if task.name == "evaluate" and aside and "export" in self.run.stages:
                self._evaluating = self._workers[0]  # while this process exports
                self._evaluating.begin(task)
            elif not task.is_training:
                STAGES[task.stage].do(self.run, task)
        if self._evaluating and tasks[0].name == "export":
            self._take_evaluation(self._evaluating)

    def _take_evaluation(self, worker: "_Worker") -> None:
        """Waits for an evaluation, and shows it."""
        kind, value = worker.answer()
        while kind == "line":
            logger.info(value)
            kind, value = worker.answer()
        self._evaluating = None
        if kind == "failed":
            raise value
        add_artifacts(self.run)
        STAGES["evaluate"].do(self.run, worker.task)

    def _do_side_by_side(self, trainings: list[Task]) -> None:
        run, waiting = self.run, {task.name: task for task in trainings}
        # What all would do at first is done once.
        run.files.claim(run.config)
        run.files.bind(run.inputs)
        if trainings[0].stage == "bridges":
            bridge_settings(run)
        starting = self._start(self._count.of(len(trainings)))
        busy: dict[connection.Connection, _Worker] = {}
        with Board(len(trainings)) as board:
            while waiting or busy:
                for worker in self._workers:
                    task = _next(waiting, busy)
                    if worker.pipe not in busy and task is not None:
                        board.begun(task.name)
                        worker.begin(waiting.pop(task.name))
                        busy[worker.pipe] = worker
                here = _next(waiting, busy) if starting and self._count.short else None
                if here:  # in the meantime
                    starting = False
                    STAGES[here.stage].do(run, waiting.pop(here.name))
                    board.ended(here.name)
                for pipe in connection.wait([*busy]):
                    worker = busy[pipe]
                    kind, value = worker.answer()
                    if kind == "line":
                        board.line(worker.task.name, value)
                        continue
                    del busy[pipe]
                    if kind == "failed":
                        board.ended(worker.task.name, "failed")
                        raise value
                    board.ended(worker.task.name)

    def _start(self, count: int) -> bool:
        """Starts processes until there are `count`; whether there were fewer."""
        run, spawn = self.run, multiprocessing.get_context("spawn")
        order = Order(
            run.config.to_json(), str(run.files.path.absolute()), run.stages, run.files.repair
        )
        missing = len(self._workers) < count
        if not self._workers:
            run.files.share()
        while len(self._workers) < count:
            here, there = spawn.Pipe()
            process = spawn.Process(target=serve, args=(there, order), name="bridge-tf job")
            process.start()
            there.close()  # so that `here` tells when the process has died
            self._workers.append(_Worker(process, here))
        return missing


class _Worker:
    """A process and what it does."""

    def __init__(self, process, pipe: connection.Connection):
        self.process, self.pipe = process, pipe
        self.task: Task | None = None

    def begin(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(BrokenPipeError):  # `answer` tells of it
            self.pipe.send(task.name)

    def answer(self) -> tuple:
        """What the process says; TrainingError if it has died."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(_END_SECONDS)
            code = self.process.exitcode
            ended = f"was killed by signal {-code}" if code and code < 0 else f"ended with {code}"
            raise TrainingError(
                f"{self.task.name}: its process {ended}; what is done is kept, run again to go on, "
                "with fewer `jobs` if memory ran out"
            ) from None


def _next(waiting: dict[str, Task], busy: dict) -> Task | None:
    """A task none of whose sources is still to be made."""
    unfinished = {*waiting, *(worker.task.name for worker in busy.values())}
    return next((task for task in waiting.values() if not {*task.after} & unfinished), None)
