"""The stage that trains the baselines which bridges are compared with."""

import functools
import itertools
import pathlib

import keras

from bridge_tf.ensembles.baselines import (
    CyclicRecipe,
    SwaRecipe,
    batch_ensemble,
    fit_mimo,
    fit_student,
    fit_swa,
    mc_dropout,
    mimo_members,
    with_members,
)
from bridge_tf.ensembles.baselines.cyclic import cycle_epochs
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.config.fields import BASELINES
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.networks import build_network
from bridge_tf.networks.architecture import fresh_copy
from bridge_tf.runs.task_graph import Task, TaskGraph, kind_of
from bridge_tf.training.recipe import Recipe
from bridge_tf.training.trainers import fit_mode
from bridge_tf.runs.stages.training import Trainings

# The others are of modes and curves that every run has.
TRAINED = BASELINES[2:]
# More members than the paper's networks of this size can hold cost accuracy.
MIMO_SIZE = 2


class BaselineTrainings(Trainings):
    """A run and the stage `baselines`: `--baselines` names them.

    What is trained already is compared whether it is named or not. Deep ensembles and members of
    curves need no training of their own.
    """

    def _tasks_of(self, name: str) -> list[Task]:
        """The trainings of a baseline, whether the run names it or not; fge's in their order."""
        return TaskGraph(self.config, [name]).of("baselines")

    def baseline_files(self, name: str) -> list[pathlib.Path]:
        """The files of a baseline's networks; those of fge in the order of its cycles."""
        return [task.file(self.files) for task in self._tasks_of(name)]

    @property
    def trained_baselines(self) -> list[str]:
        """The baselines all of whose files are there."""
        return [
            name for name in TRAINED if all(map(pathlib.Path.exists, self.baseline_files(name)))
        ]

    @property
    def measured_files(self) -> list[pathlib.Path]:
        own = map(self.baseline_files, self.trained_baselines)
        return [*super().measured_files, *itertools.chain(*own)]

    def check_baselines(self) -> None:
        """Checks that baselines which are to be compared are there, whole, and of this run's modes.

        Raises:
            InputError: one is missing, damaged, or made from another file.
        """
        names = dict.fromkeys([*self.config.baselines, *self.trained_baselines])
        for task in TaskGraph(self.config, names).of("baselines"):
            path = task.file(self.files)
            self.files.need([path], "evaluate", "baselines")
            self.is_done(task)
            self.files.need([path], "evaluate", "baselines")

    def check_baseline_networks(self) -> None:
        """Finds what can't be built, before anything is trained.

        Raises:
            InputError: the network of the run can't be made a baseline of.
        """
        for name in self.config.baselines:
            if not all(path.exists() for path in self.baseline_files(name)):
                self._network(name)

    def _baselines(self, task: Task, seed: int) -> None:
        name = kind_of(task.name)
        config = self.config
        epochs = cycle_epochs(config.mode_epochs) if name == "fge" else config.mode_epochs
        recipe = self.recipe(epochs, seed)
        if name == "fge":
            network = result = self.load(task.sources(self.files)[0], keras.Model)
            recipe = self._as(CyclicRecipe, recipe)
        else:
            network = result = self._network(name)
        fit = functools.partial(fit_mode, network)
        if name == "swa":
            recipe = self._as(SwaRecipe, recipe)
            fit = functools.partial(fit_swa, network, statistics=self.statistics_images())
        elif name == "distillation":
            teachers = [self.load_mode(k) for k in range(config.num_modes)]
            fit = functools.partial(fit_student, network, teachers)
        elif name == "mimo":
            fit = functools.partial(fit_mimo, network, MIMO_SIZE)
            result = mimo_members(network, MIMO_SIZE)
        elif name in ("batch_ensemble", "mc_dropout"):
            result = with_members(network, config.num_modes)
        self._check_space("baselines", network, networks=1, missing=1)
        self._train(result, task, f"baseline {task.name}", recipe, fit)

    @staticmethod
    def _as(kind: type[Recipe], recipe: Recipe) -> Recipe:
        return kind(**vars(recipe))

    def _network(self, name: str) -> keras.Model:
        """The network of a baseline, with fresh weights."""
        config = self.config
        try:
            if name == "mimo":
                return self._mimo_network()
            # A trained network of unknown origin is an architecture too.
            network = fresh_copy(self.load_mode(0)) if config.modes else self.build()
            if name == "batch_ensemble":
                return batch_ensemble(network, config.num_modes)
            if name == "mc_dropout":
                return mc_dropout(network, config.num_modes)
            return logits_copy(network) if name == "distillation" else network
        except (InputError, ValueError) as error:
            raise InputError(f"--baselines={name}: {reason(error)}") from error

    def _mimo_network(self) -> keras.Model:
        config, (height, width, channels) = self.config, self.data.image_shape
        if config.modes or config.model.endswith(".keras"):
            raise InputError(
                "needs more inputs and answers than the network of a file has; name a network by "
                "--model, or leave it out"
            )
        options = self.network_options()
        for name in ("pixel_mean", "pixel_std"):
            if len(options.get(name, ())) > 1:
                options[name] = [*options[name]] * MIMO_SIZE
        shape = (height, width, channels * MIMO_SIZE)
        return build_network(config.model, shape, self.data.num_classes * MIMO_SIZE, **options)
