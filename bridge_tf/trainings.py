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
from bridge_tf.files import check_space
from bridge_tf.graph import is_graph
from bridge_tf.model_files import is_whole, write_model
from bridge_tf.networks.keras_file import read_model
from bridge_tf.progress import TrainingProgress
from bridge_tf.run import Run
from bridge_tf.training import fit_bridge, fit_curve, fit_mode
from bridge_tf.workdir import damage


class Trainings(Run):
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
        missing = [target for target in sources if not self.done(target)]
        if not missing:
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
        self.files.claim(self.config)
        for target in missing:
            with self.files.writing(target) as partial:
                shutil.copyfile(sources[target], partial)

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
                self.recipe(self.config.curve_epochs, seed),
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
            )
            self._train(
                bridge,
                self.files.bridge(pair),
                f"bridge {self._title(pair)}",
                self.bridge_recipe(config.bridge_epochs, seed),
                fit,
                self._bridge_sources(pair),
                mixup_alpha=config.mixup_alpha,
            )
        pairs = config.curves()
        parts = [self.files.mode(0), *(self.files.bridge(pair) for pair in pairs)]
        if not self.files.current(self.files.ensemble, parts):
            with self.files.writing(self.files.ensemble, parts) as partial:
                write_model(self.build_ensemble(len(pairs)), partial)

    def _ends(self, pair) -> list[pathlib.Path]:
        return [self.files.mode(k) for k in pair]

    def _bridge_sources(self, pair) -> list[pathlib.Path]:
        return [*self._ends(pair), self.files.curve(pair)]

    def _title(self, pair) -> str:
        pairs = self.config.curves()
        return f"{pair[0]}-{pair[1]} ({pairs.index(pair) + 1} of {len(pairs)})"

    def _missing(self, stage: str, file_of, sources_of) -> list[tuple[int, int]]:
        """The pairs of modes whose curve or bridge isn't there yet.

        Raises:
            InputError: what it is made from is missing, or the disk has no room for it.
        """
        missing = []
        for pair in self.config.curves():
            sources = sources_of(pair)
            if not self.done(file_of(pair), sources):
                self.files.need(self._ends(pair), stage, "modes")
                self.files.need(sources, stage, "modes,curves")
                missing.append(pair)
        if missing:
            points = self.config.curve_degree + 1 if stage == "curves" else 1
            # Of mode 1, so that the names of mode 0 are read, once a process, before it is seeded.
            self._check_space(stage, self.load_mode(1), points, len(missing))
        return missing

    def done(self, target: pathlib.Path, sources=()) -> bool:
        """Whether a training's result is there: whole, and made from `sources` as they are.

        A file that the manifest doesn't list is taken in if it is whole: one put there by hand,
        or by a version of the project that kept no manifest.

        Raises:
            InputError: it is damaged or made from something else, and isn't to be repaired.
        """
        files, state = self.files, self.files.state(target, sources)
        if state == "unlisted" and is_whole(target):
            files.claim(self.config)
            files.manifest.add(target, target, sources)
            state = "current"
        if state in ("unlisted", "damaged", "outdated"):
            if not files.repair:
                others = ", ".join(map(str, sources))
                raise InputError(
                    f"{target} was made from other files than {others} are now; bin/train --repair "
                    "makes it again"
                    if state == "outdated"
                    else damage(target)
                )
            files.set_aside(target)
        elif state == "current":
            files.remove_backup(target)
        return state == "current"

    def _check_space(self, stage: str, network, networks: int, missing: int) -> None:
        """Checks that the disk has room for a stage.

        Args:
            networks: the weights of a result, in networks.
            missing: results to be written.
        """
        size = 4 * network.count_params()
        # Weights and momentum, of the last epoch, of a step in it, and while one is replaced.
        checkpoints = 3 * 2 * networks * size
        wanted = missing * networks * size + checkpoints
        check_space("--workdir", self.files.path, wanted, f"the stage {stage}")

    def _start(self, task: str) -> int:
        """Claims the work directory and seeds Keras for one training; returns its seed.

        What follows must be the same in a process that makes all trainings and in one that makes
        this one only: nothing that is done once a process, since building layers draws seeds.
        """
        self.files.claim(self.config)
        keras.backend.clear_session()  # it numbers what has no name
        seed = self.seed(task)
        keras.utils.set_random_seed(seed)
        return seed

    def _train(self, model, target, title, recipe, fit, sources=(), mixup_alpha=0.0) -> None:
        """Trains `model` by `fit`, from its checkpoint if there is one, and saves it."""
        config = self.config
        checkpoints = Checkpoints(
            self.files.backup(target),
            minutes=config.checkpoint_minutes,
            made_from=self.files.manifest.digests(sources),
            on_divergence=config.on_divergence,
        )
        steps = data.steps_per_epoch(self.data.train, config.batch_size)
        with TrainingProgress(title, config.batch_size, recipe.epochs, steps) as progress:
            fit(
                data=lambda done: self.training_batches(
                    recipe.epochs, recipe.seed, first_step=done, mixup_alpha=mixup_alpha
                ),
                recipe=recipe,
                steps_per_epoch=steps,
                callbacks=[
                    keras.callbacks.TensorBoard(self.files.logs(target), write_graph=False),
                    progress,
                ],
                backup_dir=checkpoints,
            )
        retries = checkpoints.notes.get("retries", [])
        notes = {"retries": retries} if retries else {}
        with self.files.writing(target, sources, **notes) as partial:
            write_model(model, partial)
        self.files.remove_backup(target)
