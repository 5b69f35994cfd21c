"""The stages of a run over a work directory: modes, curves, bridges, evaluate, export.

Each stage reads the files of the stages before it and writes its own; what is there already is
not made again. Every training has a seed of its own, a function of the run's seed and of what is
trained, so that stages may run alone, in any process.
"""

import functools
import json
import pathlib
import shutil

import keras

from bridge_tf import data
from bridge_tf.alignment import align
from bridge_tf.bridge import build_bridge
from bridge_tf.config import STAGES
from bridge_tf.curve import Curve
from bridge_tf.curve_checks import check_same_architecture
from bridge_tf.ensemble import BridgeEnsemble
from bridge_tf.errors import InputError
from bridge_tf.export.places import check_export
from bridge_tf.files import replacing, sha256, write_json
from bridge_tf.graph import is_graph
from bridge_tf.networks.keras_file import read_model
from bridge_tf.progress import TrainingProgress, say
from bridge_tf.run import Run
from bridge_tf.training import fit_bridge, fit_curve, fit_mode


class Pipeline(Run):
    """A run and its stages, each a method; `run` calls them in order.

    Attributes:
        stages: those that are to be run.
    """

    stages = STAGES

    def run(self, stages=STAGES) -> None:
        """Runs the named stages in their order.

        Raises:
            InputError: an unknown stage, a work directory of another run, bad data, or files of
                earlier stages that are missing.
        """
        unknown = [stage for stage in stages if stage not in STAGES]
        if unknown or not stages:
            raise InputError(
                f"--stages={','.join(stages)}: name one or more of {', '.join(STAGES)}"
            )
        self.stages = stages
        self.files.check(self.config)
        if "export" in stages:
            check_export(self.config.export_dir, self.config.export_name)
        if self.config.modes:
            self.take_modes()
        for stage in [stage for stage in STAGES if stage in stages]:
            getattr(self, stage)()

    def take_modes(self) -> None:
        """Copies the modes of --modes to the work directory, once all are known to fit.

        Raises:
            InputError: a file can't be read, isn't for the run's images and classes, or holds
                another architecture than the first.
        """
        sources = {self.files.mode(k): path for k, path in enumerate(self.config.modes)}
        if all(target.exists() for target in sources):
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
        for target, path in sources.items():
            if not target.exists():
                with replacing(target) as partial:
                    shutil.copyfile(path, partial)

    def _check_bridge(self, base) -> None:
        """Finds what can be wrong with data, network or taps, before anything is written."""
        data.steps_per_epoch(self.data.train, self.config.batch_size)
        if not is_graph(base) and "bridges" not in self.stages:
            return  # a subclassed network: modes and curves are all that can be had of it
        taps, width = self.bridge_settings(base)
        build_bridge(
            base,
            taps,
            width,
            bridge_type=self.config.bridge_type,
            conditioned=self.config.conditioned,
            shared_until=self.config.shared_until or None,
        )

    def modes(self) -> None:
        targets = [self.files.mode(k) for k in range(self.config.num_modes)]
        missing = [k for k, target in enumerate(targets) if not target.exists()]
        if not missing:
            return
        self._check_bridge(self.build())
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
        pairs = self.config.curves()
        for n, pair in enumerate(pairs):
            target = self.files.curve(pair)
            if target.exists():
                continue
            self.files.need([self.files.mode(k) for k in pair], "curves", "modes")
            seed = self._start(f"curve-{pair[0]}-{pair[1]}")
            curve = self._new_curve(pair, seed)
            self._train(
                curve,
                target,
                f"curve {pair[0]}-{pair[1]} ({n + 1} of {len(pairs)})",
                self.recipe(self.config.curve_epochs, seed),
                functools.partial(fit_curve, curve),
            )

    def _new_curve(self, pair: tuple[int, int], seed: int) -> Curve:
        start, end = (self.load_mode(k) for k in pair)
        try:
            if self.config.align != "none":
                end = align(start, end, self.config.align, self.alignment_images(), seed=seed)
            return self.new_curve(start, end, seed)
        except ValueError as error:
            files = " and ".join(str(self.files.mode(k)) for k in pair)
            raise InputError(f"{files}: {error}") from error

    def bridges(self) -> None:
        config, pairs = self.config, self.config.curves()
        for n, pair in enumerate(pairs):
            target = self.files.bridge(pair)
            if target.exists():
                continue
            self.files.need([self.files.mode(k) for k in pair], "bridges", "modes,curves")
            self.files.need([self.files.curve(pair)], "bridges", "curves")
            seed = self._start(f"bridge-{pair[0]}-{pair[1]}")
            start, end = (self.load_mode(k) for k in pair)
            taps, width = self.bridge_settings()
            curve = self.load_curve(pair)
            warm = config.warm_start and width == 1
            member = self.member(curve, config.r) if warm or not config.conditioned else None
            bridge = build_bridge(
                start,
                taps,
                width,
                bridge_type=config.bridge_type,
                conditioned=config.conditioned,
                shared_until=config.shared_until or None,
                warm_start=member if warm else None,
            )
            fit = functools.partial(
                fit_bridge,
                bridge,
                start,
                self.path(curve) if config.conditioned else member,
                end=end if config.bridge_type == 2 else None,
                repulsion=config.repulsion,
            )
            recipe = self.bridge_recipe(config.bridge_epochs, seed)
            title = f"bridge {pair[0]}-{pair[1]} ({n + 1} of {len(pairs)})"
            self._train(bridge, target, title, recipe, fit, mixup_alpha=config.mixup_alpha)
        parts = [self.files.mode(0), *(self.files.bridge(pair) for pair in pairs)]
        if self.files.stale(self.files.ensemble, parts):
            with replacing(self.files.ensemble) as partial:
                self.build_ensemble(len(pairs)).save(partial)

    def evaluate(self) -> None:
        """Writes report.json and report.md; their table goes to standard output."""
        from bridge_tf.report import render_table

        if self.files.stale(self.files.report, [self.files.ensemble]):
            self.reevaluate()
        report = json.loads(self.files.report.read_text(encoding="utf-8"))
        print(render_table(report), flush=True)
        say(f"report: {self.files.report_page}")

    def reevaluate(self) -> None:
        """Measures everything anew and writes the report."""
        from bridge_tf.evaluation.comparison import compare
        from bridge_tf.report import render_markdown

        self.files.need([self.files.ensemble], "evaluate", "modes,curves,bridges")
        report = compare(self)
        write_json(self.files.report, report)
        with replacing(self.files.report_page) as partial:
            partial.write_text(render_markdown(report), encoding="utf-8")

    def export(self) -> None:
        from bridge_tf.export import export

        self.files.need([self.files.ensemble], "export", "modes,curves,bridges")
        if self.exported_files():
            say(f"export: {self.config.export_name} is there already")
            return
        artifacts = export(
            self.load(self.files.ensemble, BridgeEnsemble),
            self.config.export_dir,
            self.config.export_name,
            self.data.test.images,
            self.data.class_names,
        )
        entry = {
            "saved_model": str(artifacts.saved_model.resolve()),
            "tflite": str(artifacts.tflite.resolve()),
            "sha256": sha256(artifacts.tflite),
        }
        others = [item for item in self._exports() if item["tflite"] != entry["tflite"]]
        write_json(self.files.exports, {"exports": [*others, entry]})
        say(
            f"export: {artifacts.saved_model} and {artifacts.tflite}, within "
            f"{artifacts.max_difference:.1e} of the Keras model"
        )

    def exported_files(self) -> list[pathlib.Path]:
        """The SavedModel and the TFLite file in the run's export folder; none if changed since."""
        tflite = (
            pathlib.Path(self.config.export_dir).resolve() / f"{self.config.export_name}.tflite"
        )
        for entry in self._exports():
            saved_model = pathlib.Path(entry["saved_model"])
            if entry["tflite"] != str(tflite) or not tflite.exists() or not saved_model.exists():
                continue
            # Another run may have exported under the same name.
            if sha256(tflite) == entry["sha256"]:
                return [saved_model, tflite]
        return []

    def _exports(self) -> list[dict]:
        if self.files.stale(self.files.exports, [self.files.ensemble]):
            return []
        return json.loads(self.files.exports.read_text(encoding="utf-8"))["exports"]

    def _start(self, task: str) -> int:
        """Claims the work directory and seeds Keras for one training; returns its seed."""
        self.files.claim(self.config)
        seed = self.seed(task)
        keras.utils.set_random_seed(seed)
        return seed

    def _train(self, model, target, title, recipe, fit, mixup_alpha=0.0) -> None:
        """Trains `model` by `fit`, from its checkpoint if there is one, and saves it."""
        backup = self.files.backup(target)
        with TrainingProgress(title, self.config.batch_size) as progress:
            fit(
                data=lambda done: self.training_batches(
                    recipe.epochs, recipe.seed, first_epoch=done, mixup_alpha=mixup_alpha
                ),
                recipe=recipe,
                steps_per_epoch=data.steps_per_epoch(self.data.train, self.config.batch_size),
                callbacks=[
                    keras.callbacks.TensorBoard(self.files.logs(target), write_graph=False),
                    progress,
                ],
                backup_dir=backup,
            )
        with replacing(target) as partial:
            model.save(partial)
        self.files.remove_backup(target)
