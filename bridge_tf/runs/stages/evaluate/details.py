"""What the figures of a report show besides report.json: the content of figures/data.json."""

import base64
import os
import pathlib
import platform

import numpy as np

from bridge_tf.config.names import SCHEMA
from bridge_tf.data import Dataset
from bridge_tf.data.image_io import to_png
from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.metrics import confidence_bins
from bridge_tf.training.callbacks.history import read_histories

# Pictures of each kind, and the longest side of one, in pixels.
_SHOWN, _LONGEST = 12, 96
_TOP = 3


class Details:
    """Gathers what is to be drawn of the rows of a comparison on `dataset`."""

    def __init__(self, dataset: Dataset):
        self.dataset, self.labels = dataset, dataset.test.labels
        self.reliability: list[dict] = []
        self.single = self.bridge = None
        self.best = np.inf

    def add(self, name: str, method: str, log_probs: np.ndarray, figures: dict) -> None:
        """Adds a row: test images' log-probabilities, N×classes, and the figures of `score`."""
        calibrated = apply_temperature(log_probs, figures["temperature"])
        self.reliability.append(
            {
                "name": name,
                "before": confidence_bins(log_probs, self.labels),
                "after": confidence_bins(calibrated, self.labels),
            }
        )
        if method == "single":
            self.single = (name, log_probs)
        elif method == "bridge" and figures["calibrated_nll"] < self.best:
            self.bridge, self.best = (name, log_probs), figures["calibrated_nll"]

    def to_json(self, lines: list[dict], logs: pathlib.Path) -> dict:
        """All of it as plain data.

        `lines` are the straight lines, as "curves" in report.json; `logs` is the run's log folder.
        """
        compared = [row for row in (self.single, self.bridge) if row]
        return {
            "schema": SCHEMA,
            "class_names": list(self.dataset.class_names),
            "lines": lines,
            "reliability": self.reliability,
            "confusions": [
                {"name": name, "cells": _confusions(log_probs, self.labels)}
                for name, log_probs in compared
            ],
            "disagreements": self._disagreements(*compared) if len(compared) == 2 else None,
            "histories": {
                # Without the throughput, which is another each time.
                run: {tag: points for tag, points in history.items() if tag != "images_per_second"}
                for run, history in read_histories(logs).items()
            },
            "measured_on": machine(),
        }

    def _disagreements(self, base, ensemble) -> dict:
        """The test images on which base and ensemble name different classes."""
        (base_name, base), (ensemble_name, ensemble) = base, ensemble
        images, labels = self.dataset.test.images, self.labels
        tops = base.argmax(axis=1), ensemble.argmax(axis=1)
        differ = np.flatnonzero(tops[0] != tops[1])
        kinds = {
            "gained": differ[tops[1][differ] == labels[differ]],
            "lost": differ[tops[0][differ] == labels[differ]],
        }
        kinds["neither"] = np.setdiff1d(differ, np.concatenate(list(kinds.values())))
        rows = np.arange(len(labels))
        change = np.exp(ensemble[rows, labels]) - np.exp(base[rows, labels])
        found = {"base": base_name, "ensemble": ensemble_name, "images": len(labels)}
        for kind, indices in kinds.items():
            # Those with the largest change of what the true class is given, first.
            shown = indices[np.argsort(-np.abs(change[indices]), kind="stable")][:_SHOWN]
            found[kind] = {
                "number": len(indices),
                "shown": [
                    {
                        "index": int(k),
                        "label": int(labels[k]),
                        "base": _top(base[k]),
                        "ensemble": _top(ensemble[k]),
                        "png": base64.b64encode(to_png(images[k], _LONGEST)).decode(),
                    }
                    for k in shown
                ],
            }
        return found


def _confusions(log_probs: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """[true class, predicted class, images] of each pair that occurs."""
    pairs = np.stack([labels, log_probs.argmax(axis=1)], axis=1)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    return np.column_stack([cells, counts]).tolist()


def _top(log_probs: np.ndarray) -> list[list]:
    """[class, probability] of the likeliest classes."""
    order = np.argsort(-log_probs, kind="stable")[:_TOP]
    return [[int(k), float(np.exp(log_probs[k]))] for k in order]


def machine() -> dict:
    """The hardware and software that measure."""
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerators": [name or "GPU" for name in names],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def _processor() -> str:
    """The processor's name, or its family where the system doesn't tell."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
