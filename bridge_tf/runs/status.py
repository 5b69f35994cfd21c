"""Which results of a run's trainings are there, and are what they should be."""

import functools
import pathlib

import keras

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import check_space
from bridge_tf.networks.saving import is_whole, write_model
from bridge_tf.runs.context import Run
from bridge_tf.runs.task_graph import ENSEMBLE, TRAININGS, Task, TaskGraph
from bridge_tf.runs.work_dir import damage


def forget_names() -> None:
    """Lets Keras number what has no name from 1 again, so that what is built next is the same in
    every process.
    """
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)


class Results(Run):
    """A run, and what is known of its results."""

    def done(self, target: pathlib.Path, sources=()) -> bool:
        """Whether a training's result is there: whole, and made from `sources` as they are.

        A file that the manifest doesn't list is taken in if it is whole: one put there by hand,
        or by a version of the project that kept no manifest.

        Raises:
            InputError: it is damaged or made from something else, and isn't to be repaired.
        """
        files, state = self.files, self.files.state(target, sources)
        if state == "unlisted" and is_whole(target):
            files.claim(self.config)
            files.manifest.add(target, target, sources)
            state = "current"
        if state in ("unlisted", "damaged", "outdated"):
            if not files.repair:
                others = ", ".join(map(str, sources))
                raise InputError(
                    f"{target} was made from other files than {others} are now; bin/train --repair "
                    "makes it again"
                    if state == "outdated"
                    else damage(target)
                )
            files.set_aside(target)
        elif state == "current":
            files.remove_backup(target)
        return state == "current"

    @functools.cached_property
    def graph(self) -> TaskGraph:
        """The tasks of the run."""
        return TaskGraph(self.config)

    def is_done(self, task: Task) -> bool:
        """Whether a training's file is there; errors as in `done`."""
        return self.done(task.file(self.files), task.sources(self.files))

    def check_sources(self, task: Task) -> None:
        """Checks that what a task reads is there and whole.

        Raises:
            InputError: it isn't; the message names the stages to run first.
        """
        for name, path in zip(task.after, task.sources(self.files), strict=True):
            before = TRAININGS[: TRAININGS.index(Task(name).stage) + 1]
            self.files.need([path], task.stage, ",".join(before))
            self.files.verify(path)

    def missing(self, stage: str) -> list[Task]:
        """The trainings of a stage that aren't done, what they read being there.

        Raises:
            InputError: it isn't, or something is damaged; see `done`.
        """
        missing = []
        for task in self.graph.of(stage):
            if task.is_training:
                self.check_sources(task)
                if not self.is_done(task):
                    missing.append(task)
        return missing

    def check_trained(self, stage: str) -> None:
        """Checks that all that is trained is there, whole, and each made from the others; the
        ensemble, which costs little, is made from them again if it isn't.

        Raises:
            InputError: something is missing, damaged, or made from another file.
        """
        for task in self.graph.tasks.values():
            if task.is_training and task.stage != "baselines":
                path = task.file(self.files)
                self.files.need([path], stage, "modes,curves,bridges")
                self.is_done(task)
                # Repair sets damaged ones aside.
                self.files.need([path], stage, "modes,curves,bridges")
        self.write_ensemble()

    def write_ensemble(self) -> None:
        """Puts base and bridges together, unless that is done."""
        parts = self.graph.tasks[ENSEMBLE].sources(self.files)
        if self.files.current(self.files.ensemble, parts):
            return
        size = 2 * sum(path.stat().st_size for path in parts)
        check_space("--workdir", self.files.path, size, "the ensemble")
        forget_names()
        with self.files.writing(self.files.ensemble, parts) as partial:
            write_model(self.build_ensemble(), partial)

    def _check_space(self, stage: str, network, networks: int, missing: int) -> None:
        """Checks that the disk has room for a stage.

        Args:
            networks: the weights of a result, in networks.
            missing: results to be written.
        """
        size = 4 * network.count_params()
        # Weights and momentum, of two epochs, of a step in one, and while one is replaced.
        checkpoints = 4 * 2 * networks * size
        # A result is written twice, with the time and without it.
        wanted = (missing + 1) * networks * size + checkpoints
        check_space("--workdir", self.files.path, wanted, f"the stage {stage}")
