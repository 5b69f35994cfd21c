"""A run's export compressed further: trained for quantization, pruned, its weights clustered."""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.export.compression.folder import COMPRESSED, TFLITE
from bridge_tf.export.compression.settings import Compression, file_names
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.utils.errors import InputError
from bridge_tf.export.layout import find_export, finish_exports, staging
from bridge_tf.runs.stages.export import Exports
from bridge_tf.utils.files import check_space, folder_to_disk, sha256
from bridge_tf.utils.terminal import say

# Bytes: the ensemble as TensorFlow, tf_keras and TFLite keep it, and the graphs of its signatures.
_COPIES, _GRAPHS = 8, 8e6


class Compressions(Exports):
    """A run whose exported ensemble can be compressed."""

    def compress(self, compressions: list[Compression]) -> list[pathlib.Path]:
        """Compresses the ensemble, and measures the files on the test split.

        Those whose files are there are left as they are.

        Returns:
            The files, EXPORT_DIR/NAME.METHOD.tflite, of the kinds in --tflite where the method
            leaves weights in floating point.

        Raises:
            InputError: something that is trained, or the export, is missing or damaged; layers that
                can't be compressed.
            ParityError: a file loses too much accuracy; none of the method is there then.
            TrainingError: the process that compresses has failed.
        """
        self.check_trained("compress")
        finish_exports(self.config.export_dir)
        exported = self._exported()
        answers, files = functools.cache(self._answers), []
        for compression in compressions:
            done = self._done(compression)
            if done:
                say(f"compress: {', '.join(path.name for path in done)}: there already")
            files += done or self._compress(compression, exported, answers)
        return files

    def artifacts(self) -> list[dict]:
        """What was measured of the last export of this ensemble and of its compressed files."""
        return super().artifacts() + [item["row"] for item in self._compressed()]

    def _exported(self) -> pathlib.Path:
        """The float32 file that compressed ones lie beside."""
        config, digest = self.config, self.files.manifest.digest(self.files.ensemble)
        found = find_export(config.export_dir, config.export_name, digest)
        if not found or not super().artifacts():
            raise InputError(
                f"--export_dir: {config.export_dir} holds no export of this run's ensemble; "
                f"bin/export --workdir={self.files.path} --export_dir={config.export_dir} makes it"
            )
        return found[1]

    def _compressed(self) -> list[dict]:
        """What is known of the compressed files of the last export."""
        made_from = [self.files.ensemble, self.files.artifacts]
        if self.files.state(self.files.compressed, made_from) != "current":
            return []
        return json.loads(self.files.compressed.read_text(encoding="utf-8"))

    def _done(self, compression: Compression) -> list[pathlib.Path]:
        """The files of a compression with these settings, if all are there as written."""
        there = {item["row"]["file"]: item for item in self._compressed()}
        places = self._places(compression)
        for place in places:
            item = there.get(place.name)
            if not item or item["settings"] != self._settings(compression):
                return []
            if not place.exists() or sha256(place) != item["sha256"]:
                return []
        return places

    def _settings(self, compression: Compression) -> dict:
        return {**compression.settings(), "tflite_io": self.config.tflite_io}

    def _places(self, compression: Compression) -> list[pathlib.Path]:
        folder = pathlib.Path(self.config.export_dir).resolve()
        names = file_names(compression.method, self.config.tflite)
        return [folder / f"{self.config.export_name}.{name}.tflite" for name in names]

    def _compress(
        self, compression: Compression, float32: pathlib.Path, answers: Callable
    ) -> list[pathlib.Path]:
        """Compresses the ensemble; nothing is visible of it before it is measured."""
        size = _COPIES * self.files.ensemble.stat().st_size + 2 * self.data.train.images.nbytes
        check_space("--export_dir", self.config.export_dir, size + _GRAPHS, "the compression")
        places = self._places(compression)
        with staging(float32.parent) as folder:
            paths = self._write(compression, folder, answers)
            rows = [
                self._row_of(path, float32, place.name)
                for path, place in zip(paths, places, strict=True)
            ]
            for row in rows:
                self._check_accuracy(super().artifacts()[0], row, "--method")
            new = [
                {"row": row, "settings": self._settings(compression), "sha256": sha256(path)}
                for row, path in zip(rows, paths, strict=True)
            ]
            folder_to_disk(folder)
            for path, place in zip(paths, places, strict=True):
                os.replace(path, place)
        names = [place.name for place in places]
        others = [item for item in self._compressed() if item["row"]["file"] not in names]
        made_from = [self.files.ensemble, self.files.artifacts]
        self.files.write_json(self.files.compressed, [*others, *new], made_from)
        return places

    def _answers(self) -> np.ndarray:
        """The members' probabilities for the training images, N×members×classes."""
        from bridge_tf.evaluation.scores import log_prob_predictor
        from bridge_tf.export.precision import in_float32

        images = self._training_images()
        say(f"compress: the ensemble's answers to {len(images):,} images")
        ensemble = in_float32(self.load(self.files.ensemble, BridgeEnsemble))
        return np.exp(log_prob_predictor(ensemble)(images)).swapaxes(0, 1)

    def _training_images(self) -> np.ndarray:
        return self.data.train.in_memory(f"--dataset={self.config.dataset}, train").images

    def _write(
        self, compression: Compression, folder: pathlib.Path, answers: Callable
    ) -> list[pathlib.Path]:
        """Writes the files to a folder, in the order of `_places`."""
        from bridge_tf.export.compression.plan import read_weights, write_plan
        from bridge_tf.export.compression.process import run_method
        from bridge_tf.export.precision import in_float32
        from bridge_tf.export.tflite_files import write_tflite_files

        config, images, method = self.config, self._training_images(), compression.method
        ensemble = in_float32(self.load(self.files.ensemble, BridgeEnsemble))
        work = folder / "work"
        work.mkdir()
        settings = {
            **dataclasses.asdict(compression),
            "seed": config.seed,
            "batch_size": config.batch_size,
            "io": config.tflite_io,
        }
        write_plan(ensemble, work, images, answers(), settings)
        run_method(work)
        if method == "qat":
            return [work / TFLITE]
        read_weights(ensemble, work / COMPRESSED)
        return write_tflite_files(
            ensemble, work, self.data.test.images, config.tflite, config.tflite_io, images
        )
