"""The stage `bridges`: bridges that predict what the networks on the curves do."""

import functools

from bridge_tf.bridges.distillation import fit_bridge, fit_from_features
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.runs.bridge_pool import BridgePool, remove_pool
from bridge_tf.runs.bridge_settings import bridge_settings, new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.ensemble_file import write_ensemble
from bridge_tf.runs.stages.curves import title_of
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import missing
from bridge_tf.runs.task_graph import ENSEMBLE, Task


class Bridges:
    """Trains the bridges, and puts them and the base together."""

    def check(self, run: Run) -> None:
        """Nothing that `prepare` doesn't find in time."""

    def prepare(self, run: Run) -> list[Task]:
        """The bridges to train, and the ensemble; InputError if files or disk space are missing."""
        tasks = missing(run, "bridges")
        compare_hosts(run, "bridges")
        if tasks:
            # Of mode 1, so that the names of mode 0 are read, once a process, before it is seeded.
            mode = run.load_mode(1)
            check_room(run, "bridges", mode, len(tasks))
            BridgePool(run, new_bridge(run, mode)).check_room()
        return [*tasks, run.graph.tasks[ENSEMBLE]]

    def do(self, run: Run, task: Task) -> None:
        """Trains a bridge, or writes the ensemble, unless that is done."""
        if task.name == ENSEMBLE:
            write_ensemble(run)
            remove_pool(run)
            return
        seed = begin(run, task)
        if seed is None:
            return
        config = run.config
        start, end = (run.load_mode(k) for k in task.modes)
        curve = run.load_curve(task.modes)
        warm = config.warm_start and bridge_settings(run)[1] == 1
        member = run.member(curve, config.r) if warm or not config.conditioned else None
        bridge = new_bridge(run, start, warm_start=member if warm else None)
        teachers = {
            "base": start,
            "member": run.path(curve) if config.conditioned else member,
            "end": end if config.bridge_type == 2 else None,
        }
        loss = {
            "repulsion": config.repulsion,
            "label_share": config.label_share,
            "class_weight": run.class_weight if config.label_share else None,
        }
        recipe = run.bridge_recipe(config.bridge_epochs, seed)
        title = f"bridge {title_of(run, task)}"
        pool = BridgePool(run, bridge)
        if not pool.passes:
            fit = functools.partial(fit_bridge, bridge, **teachers, **loss)
            train(run, task, bridge, title, recipe, fit, batches=run.bridge_batches)
            return
        pool.fill(task, Teachers(bridge, **teachers, base_logits=config.repulsion > 0))
        fit = functools.partial(fit_from_features, bridge, **loss)
        batches = functools.partial(pool.batches, task)
        train(run, task, bridge, title, recipe, fit, batches=batches)
        pool.forget(task)
