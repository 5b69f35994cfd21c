"""Students: networks that learn the mean prediction of all modes."""

import functools

import keras

from bridge_tf.config.fields import LONG_STUDENTS
from bridge_tf.ensembles.baselines import fit_from_answers, fit_student, with_bridges
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.training import check_room, train
from bridge_tf.runs.student_pool import StudentPool, remove_answers
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.training_cost import epochs_of


def train_student(run: Run, task: Task, seed: int, network: keras.Model, kind: str) -> None:
    """Trains a network that ends in logits, and saves it.

    Args:
        kind: "distillation"; "mixed_distillation", on what bridges learn from: mixed images and a
            share of the labels; or "student", which begins as mode 0, at half the peak learning
            rate, or "wide_student": both for their own number of epochs, perhaps with bridges
            behind them, and perhaps with answers that are kept.
    """
    config, batches = run.config, None
    rate = config.learning_rate / 2 if kind == "student" else config.learning_rate
    recipe = run.recipe(epochs_of(config, kind), seed, learning_rate=rate)
    loss, is_long = {}, kind in LONG_STUDENTS
    if kind == "mixed_distillation":
        batches = run.mixed_batches
        if config.label_share:
            loss = {"label_share": config.label_share, "class_weight": run.class_weight}
    count = config.student_bridges if is_long else 0
    bridges = [new_bridge(run, network, name=f"bridge{k}") for k in range(1, count + 1)]
    trained = with_bridges(network, bridges)
    check_room(run, task.stage, trained, missing=1)
    teachers = [run.load_mode(k) for k in range(config.num_modes)]
    fit = functools.partial(fit_student, trained, teachers, **loss)
    if is_long and config.student_passes:
        pool = StudentPool(run, task, recipe)
        pool.fill(teachers)
        fit, batches = functools.partial(fit_from_answers, trained), pool.batches
    title = "base: student" if task.stage == "bridges" else f"baseline {task.name}"
    train(run, task, network, title, recipe, fit, batches)
    remove_answers(run, task)
