"""The stages of a run over a work directory: modes, curves, bridges, evaluate, export.

Each stage reads the files of the stages before it and writes its own; what is there already is
not made again. Every training has a seed of its own, a function of the run's seed and of what is
trained, so that stages may run alone, in any process.
"""

import functools
import json
import pathlib

import keras

from bridge_tf import data
from bridge_tf.bridge import build_bridge
from bridge_tf.config import STAGES, Config
from bridge_tf.curve import Curve
from bridge_tf.errors import InputError
from bridge_tf.files import check_writable, replacing, write_json
from bridge_tf.graph import check_taps
from bridge_tf.progress import TrainingProgress, say
from bridge_tf.run import Run
from bridge_tf.training import fit_bridge, fit_curve, fit_mode


class Pipeline(Run):
    """A run and its stages, each a method; `run` calls them in order."""

    def __init__(self, config: Config, workdir):
        super().__init__(config, workdir)
        self._changed = False

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
        self.files.check(self.config)
        if "export" in stages:
            check_writable("--export_dir", self.config.export_dir)
        for stage in [stage for stage in STAGES if stage in stages]:
            getattr(self, stage)()

    def modes(self) -> None:
        targets = [self.files.mode(k) for k in range(self.config.num_modes)]
        missing = [k for k, target in enumerate(targets) if not target.exists()]
        if not missing:
            say("modes: all there")
            return
        # What can be wrong with data, network or taps is found before anything is written.
        check_taps(self.build(), self.taps)
        data.steps_per_epoch(self.data.train, self.config.batch_size)
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
            curve = Curve.between(
                self.load(self.files.mode(pair[0])),
                self.load(self.files.mode(pair[1])),
                degree=self.config.curve_degree,
                kind=self.config.curve_kind,
                seed=seed,
            )
            self._train(
                curve,
                target,
                f"curve {pair[0]}-{pair[1]} ({n + 1} of {len(pairs)})",
                self.recipe(self.config.curve_epochs, seed),
                functools.partial(fit_curve, curve),
            )

    def bridges(self) -> None:
        config, pairs = self.config, self.config.curves()
        for n, pair in enumerate(pairs):
            target = self.files.bridge(pair)
            if target.exists():
                continue
            self.files.need([self.files.mode(k) for k in pair], "bridges", "modes,curves")
            self.files.need([self.files.curve(pair)], "bridges", "curves")
            seed = self._start(f"bridge-{pair[0]}-{pair[1]}")
            start, end = (self.load(self.files.mode(k)) for k in pair)
            bridge = build_bridge(
                start, self.taps, config.bridge_width, bridge_type=config.bridge_type
            )
            fit = functools.partial(
                fit_bridge,
                bridge,
                start,
                self.member(self.load_curve(pair), config.r),
                end=end if config.bridge_type == 2 else None,
                repulsion=config.repulsion,
            )
            recipe = self.recipe(
                config.bridge_epochs,
                seed,
                learning_rate=config.bridge_learning_rate or config.learning_rate,
                weight_decay=config.bridge_weight_decay,
            )
            title = f"bridge {pair[0]}-{pair[1]} ({n + 1} of {len(pairs)})"
            self._train(bridge, target, title, recipe, fit, mixup_alpha=config.mixup_alpha)
        if not self.files.ensemble.exists() or self._changed:
            with replacing(self.files.ensemble) as partial:
                self.build_ensemble(len(pairs)).save(partial)

    def evaluate(self) -> None:
        """Writes report.json and report.md; their table goes to standard output."""
        from bridge_tf.report import render_table

        if not self.files.report.exists() or self._changed:
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
        if self._exported():
            say(f"export: {self.config.name} is there already")
            return
        artifacts = export(
            self.load(self.files.ensemble),
            self.config.export_dir,
            self.config.name,
            self.data.test.images,
            self.data.class_names,
        )
        files = {
            kind: str(getattr(artifacts, kind).resolve()) for kind in ("saved_model", "tflite")
        }
        write_json(self.files.exports, files)
        say(
            f"export: {artifacts.saved_model} and {artifacts.tflite}, within "
            f"{artifacts.max_difference:.1e} of the Keras model"
        )

    def exported_files(self) -> list[pathlib.Path]:
        """The SavedModel and the TFLite file of the last export; none before the first."""
        if not self.files.exports.exists():
            return []
        exports = json.loads(self.files.exports.read_text(encoding="utf-8"))
        return [pathlib.Path(path) for path in exports.values()]

    def _exported(self) -> bool:
        files = self.exported_files()
        wanted = pathlib.Path(self.config.export_dir).resolve() / f"{self.config.name}.tflite"
        return not self._changed and wanted in files and all(path.exists() for path in files)

    def _start(self, task: str) -> int:
        """Claims the work directory and seeds Keras for one training; returns its seed."""
        self.files.claim(self.config)
        self._changed = True
        seed = self.seed(task)
        keras.utils.set_random_seed(seed)
        return seed

    def _train(self, model, target, title, recipe, fit, mixup_alpha=0.0) -> None:
        """Trains `model` by `fit`, from its checkpoint if there is one, and saves it."""
        backup = self.files.backup(target)
        batches = self.training_batches(
            recipe.epochs, recipe.seed, _epochs_done(backup), mixup_alpha
        )
        with TrainingProgress(title, self.config.batch_size) as progress:
            fit(
                data=batches,
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


def _epochs_done(backup: pathlib.Path) -> int:
    """How many epochs the checkpoint that Keras's BackupAndRestore keeps there has seen."""
    metadata = backup / "training_metadata.json"
    if not metadata.exists():
        return 0
    return int(json.loads(metadata.read_text(encoding="utf-8"))["epoch"])
