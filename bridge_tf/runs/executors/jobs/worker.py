"""A process that does trainings of a run, one after the other, as it is told."""

import dataclasses
import multiprocessing
import os
import pickle
import traceback
from multiprocessing.connection import Connection

from bridge_tf.config import Config
from bridge_tf.utils import signals
from bridge_tf.utils.terminal import quiet_stderr, told_to
from bridge_tf.utils.user_modules import import_modules


@dataclasses.dataclass(frozen=True)
class Order:
    """What a process needs to know of a run, as plain data."""

    config: dict
    workdir: str
    stages: tuple[str, ...]
    repair: bool


def serve(pipe: Connection, order: Order) -> None:
    """Does the tasks whose names come through `pipe`, until it is closed.

    It answers ("line", TEXT) for a line of progress, ("done", None) and ("failed", ERROR). A signal
    ends it after a checkpoint is saved. The process ends with its parent, even if that is killed,
    and doesn't hear the Ctrl-C that is meant for it.
    """
    os.setpgid(0, 0)
    signals.end_with(multiprocessing.parent_process().sentinel)
    with signals.graceful(message=""):
        try:
            _serve(pipe, order)
        except signals.Interrupted as error:
            signals.leave(error.signum)


def _serve(pipe: Connection, order: Order) -> None:
    with quiet_stderr():
        import keras  # noqa: F401
    from bridge_tf.runs.context import Run
    from bridge_tf.runs.executors.jobs.threads import limit_threads
    from bridge_tf.runs.stages import STAGES
    from bridge_tf.runs.stages.evaluate.stage import measure

    config = Config(**order.config)
    if config.threads:
        limit_threads(config.threads)
    import_modules(config.imports)
    run = Run(config, order.workdir, order.stages, repair=order.repair)
    run.files.share()
    with told_to(lambda text: pipe.send(("line", text))):
        while True:
            try:
                task = run.graph.tasks[pipe.recv()]
            except EOFError:
                return
            try:
                if task.name == "evaluate":  # its pages are written, and shown, elsewhere
                    measure(run)
                else:
                    STAGES[task.stage].do(run, task)
                answer = "done", None
            except Exception as error:
                if signals.requested():  # native code turns an interruption into its own error
                    signals.leave(signals.requested())
                answer = "failed", _portable(error)
            pipe.send(answer)


def _portable(error: Exception) -> Exception:
    """The error, or one with its traceback as text if it can't go through a pipe."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
