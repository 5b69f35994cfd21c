"""The exported model of the demo's page."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.export.metadata import ensemble_temperature
from bridge_tf.export.predictor import load_predictor
from bridge_tf.utils.errors import InputError

_WANTED = "name an exported .tflite file"


@dataclasses.dataclass(frozen=True)
class DemoModel:
    """An exported model for the browser.

    Attributes:
        name: of the file.
        content: the .tflite file for one image at a time.
        image_shape: (height, width, channels), 1 or 3 channels.
        labels: one a class; numbers if the export has no names.
        positions: r of conditioned bridges in the ensemble; empty if unknown.
        temperature: of the ensemble's probabilities.
    """

    name: str
    content: bytes
    image_shape: tuple[int, int, int]
    labels: tuple[str, ...]
    positions: tuple[float, ...] = ()
    temperature: float = 1.0


def load_model(path: pathlib.Path, positions: Sequence[float] = ()) -> DemoModel:
    """Reads an exported .tflite file, with the labels beside it.

    `positions` are those of conditioned bridges at export, which the file doesn't contain.

    Raises:
        InputError: it is missing or damaged, lacks the signatures serving_default and base, or
            takes no images of 1 or 3 channels.
    """
    if not path.exists():
        raise InputError(f"`model`: {path} doesn't exist; {_WANTED}")
    if path.suffix != ".tflite" or path.is_dir():
        raise InputError(f"`model`: {path} is no .tflite file; {_WANTED}")
    for signature in ("base", "serving_default"):
        predictor = load_predictor(path, signature)
        height, width, channels = predictor.image_shape
        if channels not in (1, 3):
            raise InputError(
                f"`model`: {path} takes images of {channels} channels; pictures have 1 or 3"
            )
        probabilities = predictor(np.zeros((1, height, width, channels))).get("probabilities")
        if np.ndim(probabilities) != 2:
            raise InputError(f"`model`: {path} gives no probabilities; {_WANTED}")
    num_classes, labels = probabilities.shape[1], predictor.labels
    if len(labels) != num_classes:
        labels = tuple(str(k) for k in range(num_classes))
    content = with_batch_of_one(path.read_bytes())
    shape, temperature = (height, width, channels), ensemble_temperature(path)
    return DemoModel(path.stem, content, shape, labels, tuple(positions), temperature)


def disagreement_of(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function from N×H×W×C pixels to N: whether base and ensemble name different classes."""
    runs = [load_predictor(path, signature) for signature in ("base", "serving_default")]

    def disagree(images: np.ndarray) -> np.ndarray:
        tops = [run(images)["probabilities"].argmax(axis=1) for run in runs]
        return tops[0] != tops[1]

    return disagree


def with_batch_of_one(content: bytes) -> bytes:
    """A .tflite file with 1 for all variable sizes, which the web runtime refuses.

    A tensor has two shapes: one with 1 for the batch, and a signature with -1 for variable sizes.
    Only these numbers are changed, in place.
    """
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(content)
    model = schema.Model.GetRootAs(changed)
    for k in range(model.SubgraphsLength()):
        graph = model.Subgraphs(k)
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            if not tensor.ShapeSignatureIsNone():
                signature = tensor.ShapeSignatureAsNumpy()  # a view of `changed`
                signature[signature == -1] = 1
    return bytes(changed)
