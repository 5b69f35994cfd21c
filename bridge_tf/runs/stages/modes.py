"""The stage `modes`: networks trained from seeds of their own, or taken from files."""

import functools
import pathlib
import shutil

import keras

from bridge_tf import data
from bridge_tf.curves.checks import check_same_architecture
from bridge_tf.networks.loading import read_model
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import is_current, missing
from bridge_tf.runs.task_graph import Task
from bridge_tf.training.trainers import fit_mode
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import is_graph


class Modes:
    """Trains the modes."""

    def check(self, run: Run) -> None:
        """Nothing that `prepare` doesn't find in time."""

    def prepare(self, run: Run) -> list[Task]:
        """The modes to train; InputError for invalid data, network or taps, or a full disk."""
        tasks = missing(run, "modes")
        compare_hosts(run, "modes")
        if tasks:
            network = run.build()
            _check_bridge(run, network)
            check_room(run, "modes", network, len(tasks))
        return tasks

    def do(self, run: Run, task: Task) -> None:
        """Trains a mode, unless that is done."""
        seed = begin(run, task)
        if seed is None:
            return
        model = run.build()
        title = f"mode {task.modes[0] + 1} of {run.config.num_modes}"
        recipe = run.recipe(run.config.mode_epochs, seed)
        train(run, task, model, title, recipe, functools.partial(fit_mode, model))


def take_modes(run: Run) -> None:
    """Copies the modes that the configuration names to the work directory, once all are checked.

    Raises:
        InputError: a file can't be read, isn't for the run's images and classes, or holds another
            architecture than the first.
    """
    sources = {run.files.mode(k): path for k, path in enumerate(run.config.modes)}
    if all(is_current(run, target) for target in sources):
        return
    first = None
    for path in map(pathlib.Path, sources.values()):
        mode = given_mode(run, path)
        first = first or mode
        try:
            check_same_architecture(first, mode)
        except ValueError as error:
            raise InputError(f"`modes={path}`: {error}") from error
    _check_bridge(run, first)
    check_room(run, "modes", first, len(sources))
    run.files.claim(run.config)
    for target, path in sources.items():
        if not is_current(run, target):
            with run.files.writing(target) as partial:
                shutil.copyfile(path, partial)


def given_mode(run: Run, path) -> keras.Model:
    """A trained mode that the configuration names, for the run's images and classes."""
    mode = read_model(path, "modes")
    return run.for_images(mode, f"`modes`: {path}", "name networks for these data")


def _check_bridge(run: Run, base) -> None:
    """Finds what can be wrong with data, network or taps, before anything is written."""
    data.steps_per_epoch(run.data.train, run.config.batch_size)
    # Of a subclassed network there can be modes and curves alone.
    if is_graph(base) or "bridges" in run.stages:
        new_bridge(run, base, choose_for=base)
