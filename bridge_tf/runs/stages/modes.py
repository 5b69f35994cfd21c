"""The stage `modes`: networks trained from seeds of their own."""

import functools

from bridge_tf import data
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import missing
from bridge_tf.runs.task_graph import Task
from bridge_tf.training.trainers import fit_mode
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
            check_bridge(run, network)
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
        fit = functools.partial(fit_mode, model, class_weight=run.class_weight)
        train(run, task, model, title, recipe, fit)


def check_bridge(run: Run, base) -> None:
    """Finds what can be wrong with data, network or taps, before anything is written."""
    data.steps_per_epoch(run.data.train, run.config.batch_size)
    # Of a subclassed network there can be modes and curves alone.
    if is_graph(base) or "bridges" in run.stages:
        new_bridge(run, base, choose_for=base)
