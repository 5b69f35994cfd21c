"""The stage `baselines`: other ways of ensembling, trained to compare bridges with.

Deep ensembles and members of curves need no training of their own.
"""

import contextlib
import functools
from collections.abc import Iterator

import keras

from bridge_tf.config.fields import STUDENTS, SUB_ENSEMBLE, WIDE
from bridge_tf.data import steps_per_epoch
from bridge_tf.ensembles.baselines import (
    CyclicRecipe,
    SwaRecipe,
    batch_ensemble,
    fit_members,
    fit_mimo,
    fit_swa,
    laplace,
    mc_dropout,
    mimo_members,
    with_members,
)
from bridge_tf.ensembles.baselines.mimo import MIMO_SIZE, mimo_network
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.counted_networks import Networks
from bridge_tf.runs.stages.bridges import train_bridge
from bridge_tf.runs.stages.student import train_student
from bridge_tf.runs.stages.training import begin, check_room, compare_hosts, train
from bridge_tf.runs.status import baseline_files
from bridge_tf.runs.task_graph import Task, kind_of
from bridge_tf.runs.training_cost import epochs_of
from bridge_tf.training.trainers import fit_mode
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.terminal import logger


class Baselines:
    """Trains the baselines that the configuration names."""

    def check(self, run: Run) -> None:
        """Raises an InputError, before any training, if a baseline can't be built."""
        for name in run.config.baselines:
            if not all(path.exists() for path in baseline_files(run, name)):
                _network(run, name)

    def prepare(self, run: Run) -> list[Task]:
        """All baselines; `do` finds which are done."""
        compare_hosts(run, "baselines")
        return run.graph.of("baselines")

    def do(self, run: Run, task: Task) -> None:
        """Trains a baseline, or one cycle of fge, unless that is done."""
        seed = begin(run, task)
        if seed is None:
            return
        name, config = kind_of(task.name), run.config
        if name == SUB_ENSEMBLE:
            _train_tail(run, task, seed)
            return
        if name == "laplace":
            _write_laplace(run, task)
            return
        if name in STUDENTS:
            train_student(run, task, seed, _network(run, name), name)
            return
        recipe, batches = run.recipe(_epochs(run, name), seed), None
        if name == "fge":
            network = result = run.load(task.sources(run.files)[0], keras.Model)
            recipe = CyclicRecipe(**vars(recipe))
        else:
            network = result = _network(run, name, task.name)
        weights = {"class_weight": run.class_weight}
        fit = functools.partial(fit_mode, network, **weights)
        if name == "swa":
            recipe = SwaRecipe(**vars(recipe))
            images = run.statistics_images()
            fit = functools.partial(fit_swa, network, statistics=images, **weights)
        elif name == "mixup":
            loss = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=config.label_smoothing
            )
            fit = functools.partial(fit, loss=loss)
            batches = functools.partial(run.mixed_batches, labels=True)
        elif name == "mimo":
            fit = functools.partial(fit_mimo, network, MIMO_SIZE, **weights)
            result = mimo_members(network, MIMO_SIZE)
        elif name in ("batch_ensemble", "mc_dropout"):
            result = with_members(network, config.num_modes)
            if name == "batch_ensemble":
                fit = functools.partial(fit_members, network, config.num_modes, **weights)
        check_room(run, "baselines", network, missing=1)
        train(run, task, result, f"baseline {task.name}", recipe, fit, batches)


def _train_tail(run: Run, task: Task, seed: int) -> None:
    """Trains a bridge on labels alone, all else as for the run's bridges."""
    base = run.load_base()
    check_room(run, "baselines", base, missing=1)
    number, of = task.name.removeprefix(f"{SUB_ENSEMBLE}-"), len(run.config.bridge_pairs())
    teachers = {"base": base, "member": None}
    loss = {"repulsion": 0.0, "label_share": 1.0}
    title = f"baseline {SUB_ENSEMBLE} ({number} of {of})"
    train_bridge(run, task, seed, new_bridge(run, base), title, teachers, loss)


def _write_laplace(run: Run, task: Task) -> None:
    """Writes mode 0 with its last layer's uncertainty."""
    logger.info("baseline laplace: the last layer's posterior")
    with _naming("laplace"):
        network = laplace(run.load_mode(0), run.data.train.images)
    target = task.file(run.files)
    with run.files.writing(target, task.sources(run.files)) as partial:
        write_model(network, partial)


def _epochs(run: Run, name: str) -> int:
    if name == "long":
        size = run.config.batch_size
        return _networks(run).long_epochs(size * steps_per_epoch(run.data.train, size))
    return epochs_of(run.config, name)


def _network(run: Run, name: str, task: str = "") -> keras.Model:
    """The network of a baseline, with fresh weights; a `student` begins as mode 0."""
    config = run.config
    with _naming(name):
        if name == "mimo":
            return _mimo_network(run)
        networks = _networks(run)
        scaled = {"packed": "packed_width", **dict.fromkeys(WIDE, "wide_width")}.get(name)
        width = getattr(networks, scaled) if scaled else None
        # Networks that were built to be counted drew weights too.
        keras.utils.set_random_seed(run.seed(task or name))
        network = networks.wide(width) if scaled else run.build()
        if name == "batch_ensemble":
            return batch_ensemble(network, config.num_modes)
        if name == "mc_dropout":
            return mc_dropout(network, config.num_modes)
        if name == "student" and run.files.mode(0).exists():
            network = run.load_mode(0)
        if name == SUB_ENSEMBLE and (config.bridge_type == 2 or config.conditioned):
            raise InputError("needs bridges of one base, without `conditioned`; leave it out")
        return logits_copy(network) if name in ("mixup", *STUDENTS) else network


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Names the baseline in errors."""
    try:
        yield
    except (InputError, ValueError) as error:
        raise InputError(f"`baselines={name}`: {reason(error)}") from error


@functools.lru_cache(1)
def _networks(run: Run) -> Networks:
    return Networks(run.config, run.data.image_shape, run.data.num_classes)


def _mimo_network(run: Run) -> keras.Model:
    config = run.config
    if config.modes or config.model.endswith(".keras"):
        raise InputError(
            "needs more inputs and outputs than the network of a file has; name a network by "
            "`model`, or leave it out"
        )
    data = run.data
    return mimo_network(config.model, data.image_shape, data.num_classes, **run.network_options())
