"""The stages that train: modes, curves, bridges. Each training's result is one file of the run.

Every training has a seed of its own, a function of the run's seed and of what is trained, so that
stages may run alone, in any process.
"""

import functools
import pathlib
import shutil

import keras

from bridge_tf import data
from bridge_tf.training.distribution import multihost as hosts
from bridge_tf.curves.alignment import align
from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.config import STAGES
from bridge_tf.curves.checks import check_same_architecture
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import is_graph
from bridge_tf.networks.saving import write_model
from bridge_tf.networks.loading import read_model
from bridge_tf.runs.status import Results, forget_names
from bridge_tf.config.names import pair_name
from bridge_tf.runs.task_graph import ENSEMBLE, Task
from bridge_tf.bridges.distillation import fit_bridge
from bridge_tf.training.trainers import fit_curve, fit_mode
from bridge_tf.training.callbacks.tensorboard import TrainingLog
from bridge_tf.training.callbacks.progress import TrainingProgress


class Trainings(Results):
    """A run and its trainings, a method a task.

    Attributes:
        stages: those that are to be run.
    """

    stages = STAGES

    @functools.cached_property
    def devices(self) -> Devices | None:
        """What shares the batches of each training; None is one device.

        With --hosts this waits for the other processes, and must come before anything is computed.
        """
        config = self.config
        return Devices.of(config.devices, config.hosts, config.process_id, config.batch_size)

    def take_modes(self) -> None:
        """Copies the modes of --modes to the work directory, once all are known to fit.

        Raises:
            InputError: a file can't be read, isn't for the run's images and classes, or holds
                another architecture than the first.
        """
        sources = {self.files.mode(k): path for k, path in enumerate(self.config.modes)}
        if all(self.done(target) for target in sources):
            return
        first = None
        for path in map(pathlib.Path, sources.values()):
            mode = read_model(path, "modes")
            mode = self.for_images(mode, f"--modes: {path}", "name networks for these data")
            first = first or mode
            try:
                check_same_architecture(first, mode)
            except ValueError as error:
                raise InputError(f"--modes: {path}: {error}") from error
        self._check_bridge(first)
        self._check_space("modes", first, networks=1, missing=len(sources))
        self.files.claim(self.config)
        for target, path in sources.items():
            if not self.done(target):
                with self.files.writing(target) as partial:
                    shutil.copyfile(path, partial)

    def _check_bridge(self, base) -> None:
        """Finds what can be wrong with data, network or taps, before anything is written."""
        data.steps_per_epoch(self.data.train, self.config.batch_size)
        if not is_graph(base) and "bridges" not in self.stages:
            return  # a subclassed network: modes and curves are all that can be had of it
        taps, width = self.bridge_settings(base)
        self._build_bridge(base, taps, width)

    def _build_bridge(self, base, taps, width: float, **options):
        config = self.config
        return build_bridge(
            base,
            taps,
            width,
            bridge_type=config.bridge_type,
            residual=config.residual,
            conditioned=config.conditioned,
            shared_until=config.shared_until or None,
            **options,
        )

    def prepare(self, stage: str) -> list[Task]:
        """The tasks of a stage that are to be done, once it is known that they can be.

        Raises:
            InputError: what they read is missing or damaged, or the disk has no room.
        """
        missing = self.missing(stage) if stage in ("modes", "curves", "bridges") else []
        self._compare_hosts(stage)
        if stage not in ("modes", "curves", "bridges"):
            return self.graph.of(stage)
        if missing and stage == "modes":
            network = self.build()
            self._check_bridge(network)
            self._check_space(stage, network, networks=1, missing=len(missing))
        elif missing:
            points = self.config.curve_degree + 1 if stage == "curves" else 1
            # Of mode 1, so that the names of mode 0 are read, once a process, before it is seeded.
            self._check_space(stage, self.load_mode(1), points, len(missing))
        return missing + [task for task in self.graph.of(stage) if not task.is_training]

    def _compare_hosts(self, stage: str) -> None:
        """Checks that other processes that train the same have the same trainings behind them."""
        trainings = [task for task in self.graph.of(stage) if task.is_training]
        if self.config.hosts and trainings and self.devices is not None:
            there = [(task.name, task.file(self.files).exists()) for task in trainings]
            hosts.agree([], self.config.fingerprint, self.inputs, there)

    def do(self, task: Task) -> None:
        """Does a task, unless that is done: it reads files of other tasks, and writes its own.

        Raises:
            InputError: what it reads is missing or damaged.
            TrainingError: it diverged.
        """
        if task.name == ENSEMBLE:
            self.write_ensemble()
        elif not task.is_training:
            getattr(self, task.name)()
        else:
            self.check_sources(task)
            if self.is_done(task):
                return
            self._read_once(task)
            seed = self._start(task.name)
            if not self.is_done(task):  # by a process that this one has waited for
                getattr(self, f"_{task.stage}")(task, seed)

    def _read_once(self, task: Task) -> None:
        """Finds what a process finds once, before the task is seeded."""
        if task.after:
            _ = self.operation_names
        if task.stage == "bridges":
            self.bridge_settings()

    def _modes(self, task: Task, seed: int) -> None:
        model = self.build()
        title = f"mode {task.modes[0] + 1} of {self.config.num_modes}"
        recipe = self.recipe(self.config.mode_epochs, seed)
        self._train(model, task, title, recipe, functools.partial(fit_mode, model))

    def _curves(self, task: Task, seed: int) -> None:
        start, end = (self.load_mode(k) for k in task.modes)
        try:
            if self.config.align != "none":
                end = align(start, end, self.config.align, self.alignment_images(), seed=seed)
            curve = self.new_curve(start, end, seed)
        except ValueError as error:
            files = " and ".join(map(str, task.sources(self.files)))
            raise InputError(f"{files}: {error}") from error
        recipe = self.curve_recipe(self.config.curve_epochs, seed)
        fit = functools.partial(fit_curve, curve)
        self._train(curve, task, f"curve {self._title(task)}", recipe, fit)

    def _bridges(self, task: Task, seed: int) -> None:
        config = self.config
        start, end = (self.load_mode(k) for k in task.modes)
        curve = self.load_curve(task.modes)
        taps, width = self.bridge_settings()
        warm = config.warm_start and width == 1
        member = self.member(curve, config.r) if warm or not config.conditioned else None
        bridge = self._build_bridge(start, taps, width, warm_start=member if warm else None)
        fit = functools.partial(
            fit_bridge,
            bridge,
            start,
            self.path(curve) if config.conditioned else member,
            end=end if config.bridge_type == 2 else None,
            repulsion=config.repulsion,
            label_share=config.label_share,
        )
        recipe = self.bridge_recipe(config.bridge_epochs, seed)
        title = f"bridge {self._title(task)}"
        self._train(bridge, task, title, recipe, fit, batches=self.bridge_batches)

    def _title(self, task: Task) -> str:
        pairs = self.config.curves()
        return f"{pair_name(task.modes)} ({pairs.index(task.modes) + 1} of {len(pairs)})"

    def _start(self, task: str) -> int:
        """Claims the work directory and seeds Keras for one training; returns its seed.

        What follows must be the same in a process that makes all trainings and in one that makes
        this one only: nothing that is done once a process, since building layers draws seeds.
        """
        self.files.claim(self.config)
        self.files.bind(self.inputs)
        forget_names()
        seed = self.seed(task)
        keras.utils.set_random_seed(seed)
        return seed

    def _train(self, model, task: Task, title: str, recipe, fit, batches=None) -> None:
        """Trains `model` by `fit`, from its checkpoint if there is one, and saves it.

        Args:
            batches: gives them, as `training_batches`, which is the default.
        """
        config, batches = self.config, batches or self.training_batches
        target, sources = task.file(self.files), task.sources(self.files)
        checkpoints = Checkpoints(
            self.files.backup(target),
            minutes=config.checkpoint_minutes,
            made_from=self.files.manifest.digests(sources),
            on_divergence=config.on_divergence,
        )
        steps = data.steps_per_epoch(self.data.train, config.batch_size)
        with (
            TrainingProgress(title, config.batch_size, recipe.epochs, steps) as progress,
            TrainingLog(self.files.logs(target), config.batch_size) as log,
        ):
            fit(
                data=lambda done: batches(recipe.epochs, recipe.seed, first_step=done),
                recipe=recipe,
                steps_per_epoch=steps,
                callbacks=[log, progress],
                backup_dir=checkpoints,
                devices=self.devices,
            )
        retries = checkpoints.notes.get("retries", [])
        notes = {"retries": retries} if retries else {}
        with self.files.writing(target, sources, **notes) as partial:
            write_model(model, partial)
        self.files.remove_backup(target)
