"""Predictions of an unfinished evaluation, so that a killed one can resume."""

import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.utils.archives import TIMES_OF_ARRAYS, check_archive
from bridge_tf.utils.files import replacing


class KeptPredictions:
    """Named arrays in files of `folder`, which the caller removes after the evaluation.

    `made_from` is JSON data that the predictions depend on. Files with another value are ignored,
    as are damaged files.
    """

    def __init__(self, folder: pathlib.Path, made_from):
        self.folder = folder
        text = json.dumps(made_from, sort_keys=True)
        self.made_from = np.frombuffer(hashlib.sha256(text.encode()).digest(), "uint8")

    def get(self, name: str, make: Callable[[], Sequence[np.ndarray]]) -> list[np.ndarray]:
        """The arrays called `name`; computed by `make` if there is no valid file."""
        path = self.folder / f"{name}.npz"
        kept = self._read(path)
        if kept is None:
            kept = list(make())
            with replacing(path) as partial, open(partial, "wb") as file:
                np.savez(file, *kept, made_from=self.made_from, count=len(kept))
        return kept

    def _read(self, path: pathlib.Path) -> list[np.ndarray] | None:
        try:
            check_archive(path.name, path, "remove it", TIMES_OF_ARRAYS)
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except Exception:  # damaged files raise many kinds of errors
            return None
        if not np.array_equal(arrays.pop("made_from", None), self.made_from):
            return None
        # Count the arrays: a flipped bit can hide entries of a zip file without an error.
        names = [f"arr_{k}" for k in range(int(arrays.pop("count", -1)))]
        return [arrays[name] for name in names] if set(names) == set(arrays) else None
