"""TFLite metadata, which the Task Library and MediaPipe read: an image's pixels, names, labels.

The library that writes it, tflite-support, needs protobuf below 4, so that it can't be installed
beside TensorFlow. The tables and their fields' places are those of metadata_schema.fbs 1.5.
"""

import io
import zipfile
from collections.abc import Sequence

from flatbuffers import Builder

METADATA = b"TFLITE_METADATA"
_LABELS = "labels.txt"
_TENSOR_AXIS_LABELS = 2  # of AssociatedFileType
_IMAGE_PROPERTIES, _NORMALIZATION = 2, 1  # of the unions ContentProperties, ProcessUnitOptions
_COLOR_SPACES = {3: 1, 1: 2}  # channels: RGB, GRAYSCALE
# Fields of TensorMetadata.
_CONTENT, _PROCESS_UNITS, _FILES = 3, 4, 6
_DESCRIPTIONS = {
    "probabilities": "Probabilities of the classes.",
    "entropy": "Entropy of the probabilities, in nats.",
    "disagreement": "Mutual information between the members, in nats.",
}


def task_metadata(graph, labels: Sequence[str]) -> bytes:
    """The metadata of a `SubGraphT` whose tensors have names, with labels for "probabilities"."""
    builder = Builder(1024)
    inputs, outputs = (
        [graph.tensors[k] for k in places] for places in (graph.inputs, graph.outputs)
    )
    described = [
        _vector(builder, [_input(builder, tensor) for tensor in inputs]),
        _vector(builder, [_output(builder, tensor, labels) for tensor in outputs]),
    ]
    of_graph = _table(builder, dict(enumerate(described, start=2)))
    name = builder.CreateString(graph.name.decode())
    version = builder.CreateString("1.0.0")  # of the oldest parser that reads it
    found = _table(builder, {0: name, 3: _vector(builder, [of_graph]), 7: version})
    builder.Finish(found, b"M001")
    return bytes(builder.Output())


def packed_files(start: int, labels: Sequence[str]) -> bytes:
    """What follows a model of `start` bytes: a ZIP archive of labels.txt; nothing without labels.

    Readers of models ignore it, readers of archives what is before it.
    """
    if not labels:
        return b""
    archive = io.BytesIO()
    archive.write(bytes(start))
    with zipfile.ZipFile(archive, "a") as file:  # uncompressed, as readers map it
        file.writestr(zipfile.ZipInfo(_LABELS), "\n".join(labels))  # of a fixed time
    return archive.getvalue()[start:]


def _input(builder: Builder, tensor) -> int:
    """TensorMetadata of an image that the model scales itself, or of another input."""
    fields = {0: builder.CreateString(tensor.name.decode())}
    shape = list(tensor.shape)
    if len(shape) == 4 and shape[-1] in _COLOR_SPACES:
        pixels = _table(builder, {}, {0: _COLOR_SPACES[shape[-1]]})
        fields[_CONTENT] = _table(builder, {1: pixels}, {0: _IMAGE_PROPERTIES})
        mean, std = (_floats(builder, [value]) for value in (0.0, 1.0))
        options = _table(builder, {0: mean, 1: std})
        unit = _table(builder, {1: options}, {0: _NORMALIZATION})
        fields[_PROCESS_UNITS] = _vector(builder, [unit])
    return _table(builder, fields)


def _output(builder: Builder, tensor, labels: Sequence[str]) -> int:
    """TensorMetadata of an output."""
    name = tensor.name.decode()
    fields = {0: builder.CreateString(name)}
    if name in _DESCRIPTIONS:
        fields[1] = builder.CreateString(_DESCRIPTIONS[name])
    if name == "probabilities" and labels:
        file = _table(builder, {0: builder.CreateString(_LABELS)}, {2: _TENSOR_AXIS_LABELS})
        fields[_FILES] = _vector(builder, [file])
    return _table(builder, fields)


def _table(builder: Builder, references: dict[int, int], numbers: dict[int, int] | None = None):
    """A table with references and 8-bit numbers at these places of its fields."""
    numbers = numbers or {}
    builder.StartObject(max([*references, *numbers]) + 1)
    for place, reference in references.items():
        builder.PrependUOffsetTRelativeSlot(place, reference, 0)
    for place, number in numbers.items():
        builder.PrependUint8Slot(place, number, 0)
    return builder.EndObject()


def _vector(builder: Builder, references: list[int]) -> int:
    builder.StartVector(4, len(references), 4)
    for reference in reversed(references):
        builder.PrependUOffsetTRelative(reference)
    return builder.EndVector()


def _floats(builder: Builder, values: list[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
