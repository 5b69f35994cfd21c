"""A run's export: the deployable files, and what they are worth."""

import json
import pathlib

import numpy as np

from bridge_tf.runs.stages.baselines import BaselineTrainings
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.utils.errors import ParityError
from bridge_tf.export.layout import find_export, finish_exports
from bridge_tf.utils.files import check_space
from bridge_tf.utils.terminal import say

# Bytes: a SavedModel and a .tflite hold the weights once each, and the graphs of their signatures.
_EXPORTED, _GRAPHS = 2.5, 4e6


class Exports(BaselineTrainings):
    """A run whose ensemble can be exported."""

    def export(self) -> None:
        """Exports the ensemble, unless that is done, and measures the files on the test split.

        Raises:
            InputError: something that is trained is missing or damaged.
            ParityError: a file answers otherwise than the Keras model; none is there then.
        """
        self.check_trained("export")
        finish_exports(self.config.export_dir)
        exported = self.exported_files()
        if exported and Exports.artifacts(self):
            say(f"export: {self.config.export_name} is there already")
            return
        from bridge_tf.evaluation.scores import log_prob_predictor

        ensemble = self.load(self.files.ensemble, BridgeEnsemble)
        predict = log_prob_predictor(ensemble)
        test, validation = (predict(s.images) for s in (self.data.test, self.data.validation))
        rows = [self._row_of_keras(test, validation)]
        if exported:  # by a process that was killed before it wrote what they are worth
            float32 = exported[1]
            rows += [self._row_of(path, float32, path.name) for path in exported[1:]]
        else:
            self._export(ensemble, self._early_exit(ensemble, validation[0]), rows)
        self.files.claim(self.config)
        self.files.write_json(self.files.artifacts, rows, [self.files.ensemble])

    def _export(self, ensemble, early_exit: dict, rows: list[dict]) -> None:
        """Writes the files, and adds what each is worth to the rows."""
        from bridge_tf.export import export
        from bridge_tf.export.model_card import model_card

        config = self.config
        copies = _EXPORTED * (1 + config.fuse_bridges) + len(config.tflite)
        size = copies * self.files.ensemble.stat().st_size + _GRAPHS
        check_space("--export_dir", config.export_dir, size, "the stage export")

        def judge(path: pathlib.Path) -> None:
            name = path.name.replace("model", config.export_name, 1)
            rows.append(self._row_of(path, path.with_name("model.tflite"), name))
            self._check_accuracy(rows[0], rows[-1], "--tflite")

        artifacts = export(
            ensemble,
            config.export_dir,
            config.export_name,
            self.data.test.images,
            self.data.class_names,
            source=self.files.manifest.digest(self.files.ensemble),
            tflite=config.tflite,
            tflite_io=config.tflite_io,
            fuse_bridges=config.fuse_bridges,
            calibration=self.data.train.images,
            early_exit=early_exit,
            judge=judge,
            card=lambda: model_card(config, self.data, ensemble, rows),
        )
        say(
            f"export: {artifacts.saved_model} and {artifacts.tflite}, within "
            f"{artifacts.max_difference:.1e} of the Keras model"
        )

    def exported_files(self) -> list[pathlib.Path]:
        """The SavedModel and the TFLite files in the run's export folder; none if they aren't there
        as this run's ensemble is to be exported. There may be more files than are asked for.
        """
        from bridge_tf.export.exporter import settings_of

        config, source = self.config, self.files.manifest.digest(self.files.ensemble)
        budget, fused = config.early_exit_budget, config.fuse_bridges
        wanted = settings_of(config.tflite, config.tflite_io, budget, fused)

        def accept(there: dict) -> bool:
            kinds = set(wanted["tflite"])
            others = ["early_exit_budget", "fuse_bridges", *(["tflite_io"] if kinds else [])]
            return kinds <= {*there.get("tflite", ())} and all(
                there.get(name) == wanted[name] for name in others
            )

        return find_export(config.export_dir, config.export_name, source, accept)

    def artifacts(self) -> list[dict]:
        """What was measured of the last export of this ensemble; empty if there was none."""
        if self.files.state(self.files.artifacts, [self.files.ensemble]) != "current":
            return []
        return json.loads(self.files.artifacts.read_text(encoding="utf-8"))

    def _row_of_keras(self, test: np.ndarray, validation: np.ndarray) -> dict:
        """What the ensemble is worth, whose members say this of the images."""
        from bridge_tf.evaluation.metrics import ensemble_log_probs
        from bridge_tf.evaluation.scores import score
        from bridge_tf.export.scoring import sizes

        path, splits = self.files.ensemble, (self.data.test.labels, self.data.validation.labels)
        test, validation = ensemble_log_probs(test), ensemble_log_probs(validation)
        figures = score(test, splits[0], validation, splits[1])
        return {"file": path.name, **sizes(path), **figures, "latency_ratio": None}

    def _row_of(self, path: pathlib.Path, float32: pathlib.Path, name: str) -> dict:
        """What a TFLite file is worth; the base that it is timed against is that of `float32`."""
        from bridge_tf.export.scoring import score_tflite
        from bridge_tf.evaluation.latency import latency_ratio

        say(f"export: measuring {name}")
        row = {"file": name, **score_tflite(path, self.data), "latency_ratio": None}
        if self.config.latency:
            row["latency_ratio"] = latency_ratio(path, float32, self.data.test.images[0])
        return row

    def _check_accuracy(self, keras: dict, row: dict, flag: str) -> None:
        most = self.config.max_accuracy_drop
        if keras["accuracy"] - row["accuracy"] > most:
            raise ParityError(
                f"{flag}: {row['file']} is right on {row['accuracy']:.4f} of the "
                f"test images, the Keras model on {keras['accuracy']:.4f}; that is more than "
                f"--max_accuracy_drop={most:g} less"
            )

    def _early_exit(self, ensemble, base: np.ndarray) -> dict:
        """The threshold of early answers, for the cost that is wanted.

        Args:
            base: N×classes, what the base says of the validation images.
        """
        from bridge_tf.networks.flops import count_flops
        from bridge_tf.evaluation.early_exit import choose_threshold, going_on

        budget = self.config.early_exit_budget
        whole = count_flops(ensemble) / count_flops(ensemble.base)
        more = going_on(self.config.bridge_type, whole)
        return {"threshold": choose_threshold(base, budget, more), "budget": budget}
