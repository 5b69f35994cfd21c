"""Which results of a run's trainings are there, and whether they are what they should be."""

import pathlib

from bridge_tf.config.fields import TRAINED_BASELINES
from bridge_tf.networks.saving import is_whole
from bridge_tf.runs.context import Run
from bridge_tf.runs.ensemble_file import write_ensemble
from bridge_tf.runs.task_graph import TRAININGS, Task, TaskGraph
from bridge_tf.runs.work_dir import damage
from bridge_tf.utils.errors import InputError


def is_done(run: Run, task: Task) -> bool:
    """Whether a training's result is there: whole, and made from its sources as they are.

    A file that the manifest doesn't list is taken in if it is whole: someone put it there.

    Raises:
        InputError: it is damaged or made from something else, and isn't to be repaired.
    """
    return is_current(run, task.file(run.files), task.sources(run.files))


def is_current(run: Run, target: pathlib.Path, sources=()) -> bool:
    """As `is_done`, of a file and what it is made from."""
    files, state = run.files, run.files.state(target, sources)
    if state == "unlisted" and is_whole(target):
        files.claim(run.config)
        files.manifest.add(target, target, sources)
        state = "current"
    if state in ("unlisted", "damaged", "outdated"):
        if not files.repair:
            others = ", ".join(map(str, sources))
            raise InputError(
                f"{target} was made from other files than {others} are now; `repair` makes it again"
                if state == "outdated"
                else damage(target)
            )
        files.set_aside(target)
    elif state == "current":
        files.remove_checkpoints(target)
    return state == "current"


def check_sources(run: Run, task: Task, but: str = "") -> None:
    """Checks that what a task reads is there and whole; InputError names stages to run first.

    What tasks of the stage `but` make isn't looked at.
    """
    for name, path in zip(task.after, task.sources(run.files), strict=True):
        if Task(name).stage == but:
            continue
        before = TRAININGS[: TRAININGS.index(Task(name).stage) + 1]
        run.files.need([path], task.stage, ",".join(before))
        run.files.verify(path)


def missing(run: Run, stage: str) -> list[Task]:
    """The trainings of a stage that aren't done; InputError as in `check_sources` and `is_done`."""
    found = []
    for task in run.graph.of(stage):
        if task.is_training:
            check_sources(run, task, but=stage)
            if not is_done(run, task):
                found.append(task)
    return found


def check_trained(run: Run, stage: str) -> None:
    """Checks modes, curves and bridges; writes the ensemble if it isn't made from them.

    Raises:
        InputError: a file is missing, damaged, or made from another file.
    """
    tasks = run.graph.tasks.values()
    _check_files(
        run,
        [task for task in tasks if task.is_training and task.stage != "baselines"],
        (stage, "modes,curves,bridges"),
    )
    write_ensemble(run)


def _check_files(run: Run, tasks, stages: tuple[str, str]) -> None:
    """Checks that results are there and whole; `stages` needs them, and makes them."""
    for task in tasks:
        path = task.file(run.files)
        run.files.need([path], *stages)
        is_done(run, task)
        run.files.need([path], *stages)  # repair sets damaged ones aside


def baseline_files(run: Run, name: str) -> list[pathlib.Path]:
    """The files of a baseline's networks, whether the run names it or not; fge's in their order."""
    return [task.file(run.files) for task in TaskGraph(run.config, [name]).of("baselines")]


def trained_baselines(run: Run) -> list[str]:
    """The baselines all of whose files are there."""
    found = {name: baseline_files(run, name) for name in TRAINED_BASELINES}
    return [name for name, paths in found.items() if paths and all(p.exists() for p in paths)]


def check_baselines(run: Run) -> None:
    """Checks the baselines that are to be compared: those trained already or named by the run.

    Raises:
        InputError: a file is missing, damaged, or made from another file.
    """
    names = dict.fromkeys([*run.config.baselines, *trained_baselines(run)])
    _check_files(run, TaskGraph(run.config, names).of("baselines"), ("evaluate", "baselines"))


def measured_files(run: Run) -> list[pathlib.Path]:
    """The files that the report is made from."""
    files = run.files
    return [
        *(files.mode(k) for k in range(run.config.num_modes)),
        *(files.curve(pair) for pair in run.config.curves()),
        *[run.base] * run.config.distil_base,
        *(files.bridge(pair) for pair in run.config.bridge_pairs()),
        files.ensemble,
        *(path for name in trained_baselines(run) for path in baseline_files(run, name)),
    ]
