"""One task of a run, done on whatever machine it lands."""

import os
import pathlib
import tempfile
import uuid
from collections.abc import Callable

from bridge_tf.config import Config
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.work_dir import versions
from bridge_tf.utils.errors import InputError, ParityError, TrainingError, reason
from bridge_tf.utils.files import sha256
from bridge_tf.utils.terminal import told_to
from bridge_tf.utils.urls import without_credentials


def outbox(files: RunFiles, task: Task, attempt: str) -> str:
    """Where a task's results wait in the storage: beside its checkpoints, with which they go.

    `attempt` names who did it; one that was given up may still be alive.
    """
    folder = files.checkpoints(task.file(files) or files.report)
    return f"{folder.relative_to(files.path).as_posix()}/results-{attempt}"


def work(order: dict, tell: Callable[[str], None]) -> dict:
    """Does one task in a folder of its own, from files of the storage, and puts its results there.

    A training goes on from checkpoints that another machine has left in the storage.

    Args:
        order: plain data. "config": the run's; "task": its name; "storage": its address;
            "entries": those of the manifest, for the files to read; "inputs": digests of what the
            run is made from; "cwd": the folder that paths in settings are relative to;
            "versions": of the packages that must be the same.
        tell: takes lines of progress.

    Returns:
        {"entries": those of the manifest, for the files in the task's `outbox`, "attempt": its
        name}, or {"error": what failed, "input": whether it is the user's to mend}.
    """
    if os.path.isdir(order["cwd"]):  # else relative paths can't be found here, as errors will tell
        os.chdir(order["cwd"])
    with tempfile.TemporaryDirectory(prefix="bridge_tf-") as folder, told_to(tell):
        try:
            attempt = uuid.uuid4().hex
            return {"entries": _work(order, pathlib.Path(folder), attempt), "attempt": attempt}
        except (InputError, TrainingError, ParityError) as error:
            message, is_input = str(error), isinstance(error, InputError)
        except Exception as error:  # whatever it is, the other tasks go on
            message, is_input = f"{type(error).__name__}: {reason(error)}", False
    place = without_credentials(order["storage"])
    return {"error": message.replace(folder, place), "input": is_input}


def _work(order: dict, folder: pathlib.Path, attempt: str) -> dict:
    from bridge_tf.runs.context import Run
    from bridge_tf.runs.stages import STAGES
    from bridge_tf.runs.stages.evaluate.stage import remeasure
    from bridge_tf.utils.user_modules import import_modules

    for name, version in versions().items():
        if version != order["versions"][name]:
            raise InputError(
                f"this node has {name} {version}, the run was started with "
                f"{order['versions'][name]}; install the same on each node"
            )
    config = Config(**order["config"])
    import_modules(config.imports)
    storage = Storage(order["storage"])
    storage.probe()
    run = Run(config, folder)
    task = run.graph.tasks[order["task"]]
    run.files.claim(config)
    for setting, digest in run.inputs.items():
        if digest != order["inputs"][setting]:
            raise InputError(
                f"`{setting}`: isn't on this node what it is where the run was started"
            )
    known = order["entries"]
    for name, entry in known.items():
        storage.read(name, folder / name)
        if sha256(folder / name) != entry["sha256"]:
            raise TrainingError(f"{storage.shown}: {name} isn't as it was written")
    run.files.manifest.take(known)
    before = {*run.files.manifest.read()["files"]}
    if task.is_training:
        kept = [run.files.checkpoints(task.file(run.files)), run.files.logs(task.file(run.files))]
        kept = [path.relative_to(folder).as_posix() for path in kept]
        for name in kept:
            storage.read_folder(name, folder / name)
        with storage.following(folder, kept):
            STAGES[task.stage].do(run, task)
    else:
        storage.read_folder("logs", run.files.all_logs)  # histories are part of a report
        remeasure(run)
    made = {
        name: entry
        for name, entry in run.files.manifest.read()["files"].items()
        if name not in before
    }
    for name in made:
        storage.write(folder / name, f"{outbox(run.files, task, attempt)}/{name}")
    return made
