"""What the stages that train have in common: the seed, the checkpoints and the file of a training.

Every training has a seed of its own, a function of the run's seed and of what is trained, so that
stages may run alone, in any process.
"""

import keras

from bridge_tf import data
from bridge_tf.config.estimates import check_curve
from bridge_tf.config.fields import LONG_STUDENTS, SUB_ENSEMBLE
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.bridge_settings import bridge_settings
from bridge_tf.runs.context import Run
from bridge_tf.runs.ensemble_file import forget_names
from bridge_tf.runs.status import check_sources, is_done
from bridge_tf.runs.task_graph import BASE, Task, kind_of
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.training.callbacks.tensorboard import TrainingLog
from bridge_tf.training.distribution import multihost
from bridge_tf.utils.files import check_space


def check_room(run: Run, stage: str, network, missing: int, networks: int = 1) -> None:
    """Checks that the disk has room for `missing` results of `networks` networks each.

    Of curves of this network, it checks that one fits into memory.

    Raises:
        InputError: it hasn't.
    """
    check_curve(run.config, network.count_params())
    size = 4 * network.count_params()
    # Weights and momentum in at most four checkpoints: two epochs, a step, and one being written.
    checkpoints = 4 * 2 * networks * size
    # A result is written twice, with the time and without it.
    wanted = (missing + 1) * networks * size + checkpoints
    check_space("workdir", run.files.path, wanted, f"the stage {stage}")


def compare_hosts(run: Run, stage: str) -> None:
    """Checks that other processes that train the same have the same trainings behind them."""
    trainings = [task for task in run.graph.of(stage) if task.is_training]
    if run.config.hosts and trainings and run.devices is not None:
        there = [(task.name, task.file(run.files).exists()) for task in trainings]
        multihost.agree([], run.config.fingerprint, run.inputs, there)


def begin(run: Run, task: Task) -> int | None:
    """Claims the work directory and seeds Keras for a training.

    What follows must be the same in a process that makes all trainings and in one that makes this
    one only: building layers draws seeds, so what a process reads once is read before.

    Returns:
        The seed; None if the training is done already.

    Raises:
        InputError: what it reads is missing or damaged.
    """
    check_sources(run, task)
    if is_done(run, task):
        return None
    if task.after:
        _ = run.operation_names
    with_student = (BASE, *LONG_STUDENTS) if run.config.student_bridges else ()
    if kind_of(task.name) in ("bridge", SUB_ENSEMBLE, *with_student):
        bridge_settings(run)
    run.files.claim(run.config)
    run.files.bind(run.inputs)
    forget_names()
    seed = run.seed(task.name)
    keras.utils.set_random_seed(seed)
    # Another process may have done it, which this one has waited for.
    return None if is_done(run, task) else seed


def train(run: Run, task: Task, model, title: str, recipe, fit, batches=None) -> None:
    """Trains `model`, from its checkpoint if there is one, and saves it.

    `fit` is as `bridge_tf.fit_mode`, its model given; `batches` as `Run.training_batches`.

    Raises:
        TrainingError: the training diverged.
    """
    config, files = run.config, run.files
    batches = batches or run.training_batches
    target, sources = task.file(files), task.sources(files)
    checkpoints = Checkpoints(
        files.checkpoints(target),
        minutes=config.checkpoint_minutes,
        made_from=files.manifest.digests(sources),
        on_divergence=config.on_divergence,
    )
    steps = data.steps_per_epoch(run.data.train, config.batch_size)
    with (
        TrainingProgress(title, config.batch_size, recipe.epochs, steps) as progress,
        TrainingLog(files.logs(target), config.batch_size) as log,
    ):
        fit(
            data=lambda done: batches(recipe.epochs, recipe.seed, first_step=done),
            recipe=recipe,
            steps_per_epoch=steps,
            callbacks=[log, progress],
            checkpoint_dir=checkpoints,
            devices=run.devices,
        )
    retries = checkpoints.notes.get("retries", [])
    notes = {"retries": retries} if retries else {}
    with files.writing(target, sources, **notes) as partial:
        write_model(model, partial)
    files.remove_checkpoints(target)
