"""The stage `bridges`: bridges that predict what the networks on the curves do."""

import functools

from bridge_tf.bridges.distillation import fit_bridge, fit_from_features
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.config.fields import SUB_ENSEMBLE
from bridge_tf.ensembles.baselines.knowledge_distillation import mean_of
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.runs.bridge_pool import BridgePool, remove_pool
from bridge_tf.runs.bridge_settings import new_bridge, starts_warm
from bridge_tf.runs.context import Run
from bridge_tf.runs.ensemble_file import write_ensemble
from bridge_tf.runs.stages.curves import title_of
from bridge_tf.runs.stages.student import train_student
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import missing
from bridge_tf.runs.task_graph import BASE, ENSEMBLE, Task, kind_of


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
        """Trains the base or a bridge, or writes the ensemble, unless that is done."""
        if task.name == ENSEMBLE:
            write_ensemble(run)
            if not any(kind_of(task.name) == SUB_ENSEMBLE for task in run.graph.tasks.values()):
                remove_pool(run)
            return
        seed = begin(run, task)
        if seed is None:
            return
        if task.name == BASE:
            train_student(run, task, seed, logits_copy(run.load_mode(0)), "student")
            return
        config = run.config
        start, end = (run.load_mode(k) for k in task.modes)
        warm = starts_warm(run)
        member, path = end, None
        if config.bridge_target == "curve":
            curve = run.load_curve(task.modes)
            member = run.member(curve, config.r) if warm or not config.conditioned else None
            path = run.path(curve) if config.conditioned else None
        elif config.bridge_target == "ensemble":
            member = mean_of([run.load_mode(k) for k in range(config.num_modes)])
        base = run.load_base() if config.distil_base else start
        bridge = new_bridge(run, base, warm_start=member if warm else None)
        teachers = {
            "base": base,
            "member": path or member,
            "end": end if config.bridge_type == 2 else None,
        }
        loss = {"repulsion": config.repulsion, "label_share": config.label_share}
        train_bridge(run, task, seed, bridge, f"bridge {title_of(run, task)}", teachers, loss)


def train_bridge(
    run: Run, task: Task, seed: int, bridge, title: str, teachers: dict, loss: dict
) -> None:
    """Trains a bridge as the settings say, on the pool if there is one, and saves it.

    `teachers` are the arguments of `Teachers`, `loss` those of `Distillation`.
    """
    labels = loss["label_share"] > 0
    loss = {**loss, "class_weight": run.class_weight if labels else None}
    recipe = run.bridge_recipe(run.config.bridge_epochs, seed)
    pool = BridgePool(run, bridge)
    if not pool.passes:
        fit = functools.partial(fit_bridge, bridge, **teachers, **loss)
        batches = functools.partial(run.bridge_batches, labels=labels)
        train(run, task, bridge, title, recipe, fit, batches)
        return
    pool.fill(task, Teachers(bridge, **teachers, base_logits=run.config.repulsion > 0))
    fit = functools.partial(fit_from_features, bridge, **loss)
    train(run, task, bridge, title, recipe, fit, functools.partial(pool.batches, task))
    pool.forget(task)
