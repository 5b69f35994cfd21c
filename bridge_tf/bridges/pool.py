"""A pool: features and targets of augmented, mixed images, computed once for all bridges.

A step of `BridgeTraining` runs the base and the member, though what they give is all that it needs
of them. A pool keeps that for some passes over the training images, each augmented and mixed anew.
The bridges then train on it alone: epoch e reads pass e modulo the number of passes, shuffled.

A pass has a table (.npy, a row for each image) for each mode that is read, one for each member, and
one of labels. Features are float16, logits float32. A `.json` beside each has its digest.
"""

import contextlib
import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from bridge_tf.bridges.bridge import bridge_features
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.errors import TrainingError
from bridge_tf.utils.files import replacing, sha256, write_json
from bridge_tf.utils.graph import LOGITS_INPUT

_MEMBER, _R, _LABELS = "member", "r", "labels"


@dataclasses.dataclass(frozen=True)
class Table:
    """What is kept of each image in one table.

    Attributes:
        name: as "mode-0" or "member-0-1".
        row: the columns of a row.
        compute: from images, labels and r to the values of all columns, in their order.
    """

    name: str
    row: np.dtype
    compute: Callable[[Any, Any, float], Sequence[np.ndarray]]


def mode_table(name: str, teachers: Teachers, number: int, recipe: Recipe) -> Table:
    """The features of a mode: of the base (`number` 0), or of the end of a Type II bridge (1)."""
    model, columns = teachers.extractors[number], teachers.columns[number]
    predict = _predictor(model, recipe)
    outputs = model.outputs
    row = [
        (column, "f4" if column == LOGITS_INPUT else "f2", tuple(output.shape[1:]))
        for column, output in zip(columns, outputs, strict=True)
    ]

    def compute(images: Any, labels: Any, r: float) -> list:
        found = predict(images)
        return found if isinstance(found, list) else [found]

    return Table(name, np.dtype(row), compute)


def member_table(name: str, teachers: Teachers, num_classes: int, recipe: Recipe) -> Table:
    """The targets of a bridge: logits of the member; of a conditioned bridge also their r."""
    if not teachers.conditioned:
        row = [(_MEMBER, "f4", (num_classes,))]
        predict = _predictor(teachers.member, recipe)
        return Table(name, np.dtype(row), lambda x, y, r: [predict(x)])
    row = [(_MEMBER, "f4", (num_classes,)), (_R, "f4", (1,))]
    predict = _predictor(_AtPosition(teachers.member), recipe)

    def compute(images: Any, labels: Any, r: float) -> list:
        at = np.full((len(images), 1), r, "float32")
        return [predict({"images": images, "r": at}), at]

    return Table(name, np.dtype(row), compute)


def label_table(num_classes: int) -> Table:
    """The labels, N×classes, as they are mixed."""
    row = np.dtype([(_LABELS, "f4", (num_classes,))])
    return Table(_LABELS, row, lambda x, y, r: [y])


def _predictor(model: keras.Model, recipe: Recipe) -> Callable[[Any], Any]:
    model.compile(jit_compile=recipe.compiles(model))
    return model.predict_on_batch


class _AtPosition(keras.Model):
    """A `CurvePath` as a model of one input, a dict."""

    def __init__(self, path: keras.Model):
        super().__init__(name="at_position")
        self.member = path
        self.supports_jit = path.supports_jit
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.member(inputs["images"], r=inputs["r"][0, 0])


def image_bytes(bridge: keras.Model, modes: int, base_logits: bool = False) -> int:
    """Bytes that a pool takes for an image.

    Args:
        bridge: any of the bridges.
        modes: number of modes that the bridges read.
        base_logits: as for `Teachers`.
    """
    features = bridge_features(bridge)[1]
    classes = bridge.output_shape[-1]
    shapes = [tensor.shape[1:] for tensor in bridge.inputs[: len(features)]]
    of_mode = sum(
        4 * classes if name == LOGITS_INPUT else 2 * math.prod(shape)
        for name, shape in zip(features, shapes, strict=True)
    )
    logits = base_logits and LOGITS_INPUT not in features
    return modes * (of_mode + 4 * classes * logits) + 2 * 4 * classes + 4


def passes_within(gigabytes: float, epochs: int, of_image: int, rows: int) -> int:
    """The number of passes of a pool: a fifth of the epochs, two at least, if they fit.

    Then bridges are as good as without a pool (docs/results/bridge_pool.md). It is
    0 if `gigabytes` don't hold one.
    """
    return min(epochs, max(2, epochs // 5), int(gigabytes * 1e9 / (of_image * rows)))


class Pool:
    """The tables of a number of passes over the images, in `folder`.

    Args:
        rows: of each pass.
    """

    def __init__(self, folder: pathlib.Path, passes: int, rows: int):
        self.folder, self.passes, self.rows = folder, passes, rows

    def path(self, name: str, number: int) -> pathlib.Path:
        """The file of a table in a pass."""
        return self.folder / f"{name}.{number}.npy"

    def has(self, name: str, number: int, made_from: list) -> bool:
        """Whether a table is there, whole, and made from these digests."""
        path = self.path(name, number)
        try:
            known = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return known == {"sha256": sha256(path), "made_from": made_from}
        except (OSError, ValueError):
            return False

    def write(self, number: int, tables: dict, batches: Iterable, seed: int) -> None:
        """Writes tables of a pass, all or none.

        Args:
            tables: what each `Table` is made from.
            batches: (images, labels) of the pass, `rows` in all.
            seed: of the positions of conditioned bridges, one a batch.

        Raises:
            TrainingError: a feature isn't a finite float16.
        """
        paths = {table: self.path(table.name, number) for table in tables}
        with contextlib.ExitStack() as stack:
            partial = {table: stack.enter_context(replacing(path)) for table, path in paths.items()}
            arrays = {
                table: np.lib.format.open_memmap(path, "w+", table.row, (self.rows,))
                for table, path in partial.items()
            }
            done = 0
            for step, (images, labels) in enumerate(batches):
                images, labels = np.asarray(images), np.asarray(labels)
                r = np.random.default_rng([seed, number, step]).uniform()
                for table, array in arrays.items():
                    _fill(table, array[done : done + len(images)], images, labels, r)
                done += len(images)
            for array in arrays.values():
                array.flush()
            digests = {table: sha256(path) for table, path in partial.items()}
        for table, path in paths.items():
            notes = {"sha256": digests[table], "made_from": tables[table]}
            write_json(path.with_suffix(".json"), notes)

    def remove(self, name: str) -> None:
        """Removes a table in all passes."""
        for number in range(self.passes):
            path = self.path(name, number)
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)

    def reader(
        self,
        modes: Sequence[str],
        member: str | None,
        features: Sequence[str],
        base_logits: bool = False,
        labels: bool = False,
    ) -> Callable[[int, np.ndarray], Any]:
        """A function from a pass and rows to what `Distillation` takes, with the labels if any.

        Args:
            modes: the tables of the modes that are read, in the order of the bridge's inputs.
            member: the table of the targets; None if labels are all.
            features: the columns of a mode that the bridge reads.
            base_logits: whether the base's logits are read besides.
            labels: whether labels are read.
        """
        names = [*modes, *[member] * (member is not None), *[_LABELS] * labels]
        tables = {
            name: [np.load(self.path(name, k), mmap_mode="r") for k in range(self.passes)]
            for name in names
        }

        def read(number: int, rows: np.ndarray) -> Any:
            found = {name: passes[number][rows] for name, passes in tables.items()}
            inputs = {"features": tuple(found[mode][name] for mode in modes for name in features)}
            if member is not None:
                inputs |= {name: found[member][name] for name in found[member].dtype.names}
            if base_logits:
                inputs["base"] = found[modes[0]][LOGITS_INPUT]
            return (inputs, found[_LABELS][_LABELS]) if labels else inputs

        return read


def _fill(table: Table, part: np.ndarray, images: Any, labels: Any, r: float) -> None:
    for name, values in zip(table.row.names or (), table.compute(images, labels, r), strict=True):
        with np.errstate(over="ignore"):
            part[name] = values
        if not np.isfinite(part[name]).all():
            raise TrainingError(
                f"{table.name}: '{name}' has values above 65,504, the most that a pool keeps, or "
                "that aren't finite; train the bridges with `bridge_pool=0`"
            )
