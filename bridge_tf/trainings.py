"""The stages that train: modes, curves, bridges. Each training's result is one file of the run.

Every training has a seed of its own, a function of the run's seed and of what is trained, so that
stages may run alone, in any process.
"""

import functools
import pathlib
import shutil

import keras

from bridge_tf import data
from bridge_tf.alignment import align
from bridge_tf.bridge import build_bridge
from bridge_tf.checkpoints import Checkpoints
from bridge_tf.config import STAGES
from bridge_tf.curve import Curve
from bridge_tf.curve_checks import check_same_architecture
from bridge_tf.errors import InputError
from bridge_tf.graph import is_graph
from bridge_tf.model_files import write_model
from bridge_tf.networks.keras_file import read_model
from bridge_tf.results import Results, forget_names
from bridge_tf.training import fit_bridge, fit_curve, fit_mode
from bridge_tf.training_logs import TrainingLog
from bridge_tf.training_progress import TrainingProgress


class Trainings(Results):
    """A run and its training stages, each a method.

    Attributes:
        stages: those that are to be run.
    """

    stages = STAGES

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

    def modes(self) -> None:
        targets = [self.files.mode(k) for k in range(self.config.num_modes)]
        missing = [k for k, target in enumerate(targets) if not self.done(target)]
        if not missing:
            return
        network = self.build()
        self._check_bridge(network)
        self._check_space("modes", network, networks=1, missing=len(missing))
        for k in missing:
            seed = self._start(f"mode-{k}")
            if self.done(targets[k]):  # by a process that this one has waited for
                continue
            model = self.build()
            self._train(
                model,
                targets[k],
                f"mode {k + 1} of {len(targets)}",
                self.recipe(self.config.mode_epochs, seed),
                functools.partial(fit_mode, model),
            )

    def curves(self) -> None:
        for pair in self._missing("curves", self.files.curve, self._ends):
            seed = self._start(f"curve-{pair[0]}-{pair[1]}")
            start, end = (self.load_mode(k) for k in pair)
            curve = self._new_curve(pair, start, end, seed)
            self._train(
                curve,
                self.files.curve(pair),
                f"curve {self._title(pair)}",
                self.curve_recipe(self.config.curve_epochs, seed),
                functools.partial(fit_curve, curve),
                self._ends(pair),
            )

    def _new_curve(self, pair, start, end, seed: int) -> Curve:
        try:
            if self.config.align != "none":
                end = align(start, end, self.config.align, self.alignment_images(), seed=seed)
            return self.new_curve(start, end, seed)
        except ValueError as error:
            files = " and ".join(map(str, self._ends(pair)))
            raise InputError(f"{files}: {error}") from error

    def bridges(self) -> None:
        config = self.config
        for pair in self._missing("bridges", self.files.bridge, self._bridge_sources):
            taps, width = self.bridge_settings()
            seed = self._start(f"bridge-{pair[0]}-{pair[1]}")
            start, end = (self.load_mode(k) for k in pair)
            curve = self.load_curve(pair)
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
            self._train(
                bridge,
                self.files.bridge(pair),
                f"bridge {self._title(pair)}",
                self.bridge_recipe(config.bridge_epochs, seed),
                fit,
                self._bridge_sources(pair),
                batches=self.bridge_batches,
            )
        self._write_ensemble()

    def _title(self, pair) -> str:
        pairs = self.config.curves()
        return f"{pair[0]}-{pair[1]} ({pairs.index(pair) + 1} of {len(pairs)})"

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

    def _train(self, model, target, title, recipe, fit, sources=(), batches=None) -> None:
        """Trains `model` by `fit`, from its checkpoint if there is one, and saves it.

        Args:
            batches: gives them, as `training_batches`, which is the default.
        """
        config, batches = self.config, batches or self.training_batches
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
            )
        retries = checkpoints.notes.get("retries", [])
        notes = {"retries": retries} if retries else {}
        with self.files.writing(target, sources, **notes) as partial:
            write_model(model, partial)
        self.files.remove_backup(target)
