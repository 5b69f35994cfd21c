"""A run's stages in their order: modes, curves, bridges, baselines, evaluate, export.

Each reads the files of those before it and writes its own; what is there already is not made again.
"""

import contextlib
import json
import pathlib
import shlex
from collections.abc import Iterator

from bridge_tf.runs.stages.compress import Compressions
from bridge_tf.config import STAGES
from bridge_tf.data.corruptions import SEVERITIES
from bridge_tf.utils.errors import InputError
from bridge_tf.export.layout import check_export
from bridge_tf.utils.files import check_space
from bridge_tf.utils.terminal import say
from bridge_tf.runs.task_graph import TRAININGS
from bridge_tf.training.callbacks.tensorboard import log_report


class Pipeline(Compressions):
    """A run and all its stages; `run` calls them in order."""

    def run(self, stages=STAGES) -> None:
        """Runs the named stages in their order, in this process.

        Raises:
            InputError: an unknown stage, a work directory of another run or in use, bad data, or
                files of earlier stages that are missing or damaged.
        """
        with self.prepared(stages):
            for stage in [stage for stage in STAGES if stage in stages]:
                for task in self.prepare(stage):
                    self.do(task)

    @contextlib.contextmanager
    def prepared(self, stages=STAGES) -> Iterator[None]:
        """Keeps the work directory for the block, which does the tasks of the named stages.

        Raises:
            InputError: see `run`.
        """
        self.check_stages(stages)
        self.stages = stages
        with self.files.held(self.wait):
            self.files.check(self.config)
            if self.config.executor == "local" and set(stages) & set(TRAININGS):
                _ = self.devices  # they must be there, and several hosts meet before all else
            if self.files.repair and self.files.holds_a_run:
                self.files.claim(self.config)
            if "export" in stages:
                check_export(self.config.export_dir, self.config.export_name)
                if self.config.fuse_bridges and not self.config.latency:
                    raise InputError("--fuse_bridges: is decided by times; needs --latency")
            if self.config.modes:
                self.take_modes()
            if "baselines" in stages:
                self.check_baseline_networks()
            if "evaluate" in stages:
                self._check_other_images()
            yield
            self._say_what_is_next()

    @staticmethod
    def check_stages(stages) -> None:
        """Checks that there are stages of these names, and one at least.

        Raises:
            InputError: there aren't.
        """
        if not stages or {*stages} - {*STAGES}:
            raise InputError(
                f"--stages={','.join(stages)}: name one or more of {', '.join(STAGES)}"
            )

    def evaluate(self) -> None:
        """Writes the report and its pages; their table goes to standard output."""
        from bridge_tf.report import read_report, render_table, write_pages

        if not self.is_evaluated():
            self.remeasure()
        self.files.remove_backup(self.files.report)
        report = read_report(self.files.report)
        write_pages(self.files, report, self._loss_planes())
        print(render_table(report), flush=True)
        for warning in report.get("warnings", ()):
            say(f"evaluate: WARNING: {warning}")

    def is_evaluated(self) -> bool:
        """Whether there is a report of the files as they are now, with all that is wanted.

        That is early answers at the cost that is wanted, and figures on the other images.

        Raises:
            InputError: it is damaged.
        """
        from bridge_tf.runs.stages.evaluate.shifted import is_measured
        from bridge_tf.report import read_report

        made = [self.files.current(path, self.measured_files) for path in self.reports]
        if not all(made):
            return False
        report = read_report(self.files.report)
        budget = report.get("early_exit", {}).get("budget")
        return budget == self.config.early_exit_budget and is_measured(self.config, report)

    def take_evaluation(self) -> None:
        """Goes on as `evaluate` with what another process has measured."""
        from bridge_tf.report import read_report

        lines = json.loads(self.files.figures_data.read_text(encoding="utf-8"))["lines"]
        log_report(self.files.all_logs, read_report(self.files.report), lines)
        self._add_artifacts()
        self.evaluate()

    def _check_other_images(self) -> None:
        """Checks that other images can be read, if there are to be any, before work is begun."""
        if self.config.ood_dataset:
            self.other_images()

    @property
    def reports(self) -> list[pathlib.Path]:
        """The files that an evaluation measures."""
        return [self.files.report, self.files.figures_data]

    def _loss_planes(self) -> list[pathlib.Path]:
        """The files of the loss planes that are of this run's curves as they are now."""
        found = []
        for pair in self.config.curves():
            path, curve = self.files.loss_plane(pair), self.files.curve(pair)
            state = self.files.state(path, [curve])
            if state == "current":
                found.append(path)
            elif state != "missing":
                what = "was changed" if state == "damaged" else f"isn't of {curve} as it is now"
                say(
                    f"evaluate: WARNING: {path} {what} and is left out of the report; bin/evaluate "
                    "--loss_plane measures it again"
                )
        return found

    def reevaluate(self, loss_plane: tuple[int, int] | None = None) -> None:
        """Measures everything anew, whatever report there is, and goes on as `evaluate`.

        Args:
            loss_plane: measure the plane of the first curve too, with so many points a side, on
                at most so many test images.

        Raises:
            InputError: files are missing or damaged, or the first curve spans no plane; nothing is
                measured then.
        """
        with self.files.held(self.wait):
            self.files.check(self.config)
            self.check_trained("evaluate")
            self._check_other_images()
            if loss_plane:
                from bridge_tf.evaluation.loss_plane import check_plane, write_loss_planes

                check_plane(self)
            self.remeasure()
            if loss_plane:
                write_loss_planes(self, *loss_plane)
            self.evaluate()
            self._say_what_is_next()

    def remeasure(self) -> None:
        """Measures everything and writes the report."""
        from bridge_tf.runs.stages.evaluate.comparison import compare

        self.check_trained("evaluate")
        self.check_baselines()
        sources = self.measured_files
        size = self._predictions_size()
        check_space("--workdir", self.files.path, size, "the stage evaluate")
        measured = compare(self)
        measured[0]["artifacts"] = self.artifacts()
        self.files.claim(self.config)
        log_report(self.files.all_logs, measured[0], measured[1]["lines"])
        for path, content in zip(self.reports, measured, strict=True):
            self.files.write_json(path, content, sources)

    def _predictions_size(self) -> int:
        """Bytes of the predictions that an evaluation keeps until it is done."""
        pairs, places = len(self.config.curves()), len(self.positions)
        members = self.config.num_modes + pairs * 2 * (places + self.config.curve_points)
        images = len(self.data.test) + len(self.data.validation)
        copies = len(SEVERITIES) * len(self.config.corruptions)
        images += copies * min(self.config.corruption_images, len(self.data.test))
        return 8 * members * images * self.data.num_classes

    def export(self) -> None:
        """Exports the ensemble, and puts what the files are worth into the report if there is one.

        Raises:
            InputError: something that is trained is missing or damaged.
            ParityError: a file answers otherwise than the Keras model; none is there then.
        """
        super().export()
        self._add_artifacts()

    def compress(self, compressions) -> list[pathlib.Path]:
        """Compresses the exported ensemble, and puts what the files are worth into the report.

        Raises:
            InputError, ParityError, TrainingError: see `Compressions.compress`.
        """
        with self.files.held(self.wait):
            self.files.check(self.config)
            files = super().compress(compressions)
            self._add_artifacts()
        return files

    def _add_artifacts(self) -> None:
        """Puts what exported files are worth into the report, if there is one."""
        from bridge_tf.report import read_report, write_pages

        if all(self.files.current(path, self.measured_files) for path in self.reports):
            report = read_report(self.files.report)
            if report.get("artifacts") != self.artifacts():
                report["artifacts"] = self.artifacts()
                self.files.write_json(self.files.report, report, self.measured_files)
            write_pages(self.files, report, self._loss_planes())

    def _say_what_is_next(self) -> None:
        """Names what there is to open."""
        logs = self.files.all_logs
        exported = self.exported_files() if self.files.ensemble.exists() else []
        there = {
            "report": [self.files.report_html] if self.files.report_html.exists() else [],
            "model": exported,
            "trainings": [f"tensorboard --logdir {logs}"] if logs.is_dir() else [],
            "in a browser": [self._demo()] if exported else [],
        }
        for name, things in there.items():
            if things:
                say(f"{name}: {'  '.join(map(str, things))}")

    def _demo(self) -> str:
        """The command that shows the export in a browser."""
        command = ["bin/demo", f"--workdir={self.files.path}"]
        if self.files.read_config().export_dir != self.config.export_dir:
            command.append(f"--export_dir={self.config.export_dir}")
        return shlex.join(command)
