"""The stage `curves`: low-loss paths between two modes."""

import functools

from bridge_tf.config.names import pair_name
from bridge_tf.curves.alignment import align
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import missing
from bridge_tf.runs.task_graph import Task
from bridge_tf.training.trainers import fit_curve
from bridge_tf.utils.errors import InputError


class Curves:
    """Trains the curves."""

    def check(self, run: Run) -> None:
        """Nothing that `prepare` doesn't find in time."""

    def prepare(self, run: Run) -> list[Task]:
        """The curves to train; InputError if modes or disk space are missing."""
        tasks = missing(run, "curves")
        compare_hosts(run, "curves")
        if tasks:
            # Of mode 1, so that the names of mode 0 are read, once a process, before it is seeded.
            points = run.config.curve_degree + 1
            check_room(run, "curves", run.load_mode(1), len(tasks), networks=points)
        return tasks

    def do(self, run: Run, task: Task) -> None:
        """Trains a curve, unless that is done; InputError if its modes' architectures differ."""
        seed = begin(run, task)
        if seed is None:
            return
        config = run.config
        start, end = (run.load_mode(k) for k in task.modes)
        try:
            if config.align != "none":
                end = align(start, end, config.align, run.alignment_images(), seed=seed)
            curve = run.new_curve(start, end, seed)
        except ValueError as error:
            files = " and ".join(map(str, task.sources(run.files)))
            raise InputError(f"{files}: {error}") from error
        recipe = run.curve_recipe(config.curve_epochs, seed)
        title = f"curve {title_of(run, task)}"
        fit = functools.partial(fit_curve, curve, class_weight=run.class_weight)
        train(run, task, curve, title, recipe, fit)


def title_of(run: Run, task: Task) -> str:
    """A curve, or the bridge of one, among the others."""
    pairs = run.config.bridge_pairs()
    return f"{pair_name(task.modes)} ({pairs.index(task.modes) + 1} of {len(pairs)})"
