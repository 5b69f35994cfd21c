"""NAME.single.tflite: for runtimes that know one signature and one image a call.

Such are LiteRT.js, OpenCV, MediaPipe, the TFLite Task Library and LiteRT for Microcontrollers. The
file is serving_default cut out of a finished .tflite file, so that it predicts as that one does.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import Builder

from bridge_tf.export.labels import SINGLE
from bridge_tf.export.parity import TOLERANCE
from bridge_tf.export.task_metadata import METADATA, packed_files, task_metadata
from bridge_tf.utils.errors import InputError, ParityError
from bridge_tf.utils.terminal import quiet_stderr

_WHOLE = "serving_default"
# Buffers begin at multiples of this, as schema.fbs has it.
_ALIGNMENT = 16
_IMAGES = 32
# Operations that run other subgraphs.
_CONTROL = ("WHILE", "IF", "CALL", "CALL_ONCE")


class _Aligned(schema.BufferT):
    """A buffer whose data are aligned; those of the generated code aren't."""

    def Pack(self, builder: Builder) -> int:
        if self.data is None:
            return super().Pack(builder)
        content = np.asarray(self.data, "uint8").tobytes()
        builder.StartVector(1, len(content), _ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def single_path(path: pathlib.Path) -> pathlib.Path:
    """model.single.tflite of model.tflite, model.single.KIND.tflite of model.KIND.tflite."""
    stem, _, rest = path.name.partition(".")
    return path.with_name(f"{stem}.{SINGLE}.{rest}")


def write_single(path: pathlib.Path, labels: Sequence[str], images: np.ndarray) -> pathlib.Path:
    """Writes the variant of a .tflite file, compares both on up to 32 images, and returns its path.

    Args:
        labels: one a class, or none; inside the file as labels.txt.
        images: real inputs.

    Raises:
        InputError: it has loops or branches.
        ParityError: an output differs by more than 1e-4.
    """
    target = single_path(path)
    target.write_bytes(single_signature(path.read_bytes(), labels))
    with quiet_stderr():
        runners = [Interpreter(str(x)).get_signature_runner(_WHOLE) for x in (path, target)]
    ((name, details),) = runners[1].get_input_details().items()
    for image in images[np.linspace(0, len(images) - 1, min(len(images), _IMAGES)).astype(int)]:
        given = {name: np.round(image)[None].astype(details["dtype"])}
        wanted, found = (run(**given) for run in runners)
        for key, value in wanted.items():
            # In float64, since booleans have no difference.
            difference = np.max(np.abs(found[key].astype("float64") - value.astype("float64")))
            if not difference <= TOLERANCE:
                raise ParityError(
                    f"{target.name}: {key} differs by {difference:.2g} from {path.name}'s, more "
                    f"than {TOLERANCE}"
                )
    return target


def single_signature(content: bytes, labels: Sequence[str] = (), signature: str = _WHOLE) -> bytes:
    """A .tflite file with one signature of another, for one image, and with TFLite metadata.

    Its tensors have the signature's names; what the signature doesn't use is left out. Outputs of
    one number have the shape 1×1, since the Task Library takes none of fewer axes.

    Raises:
        InputError: the signature has loops or branches, which are subgraphs too.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (kept,) = [x for x in model.signatureDefs if x.signatureKey.decode() == signature]
    graph = model.subgraphs[kept.subgraphIndex]
    model.subgraphs, model.signatureDefs, kept.subgraphIndex = [graph], [kept], 0
    graph.name = kept.signatureKey
    _leave_out_unused(model, graph)
    _check_operations(model)
    for item in kept.outputs:
        if len(graph.tensors[item.tensorIndex].shape) == 1:
            item.tensorIndex = _with_another_axis(model, graph, item.tensorIndex)
    for item in (*kept.inputs, *kept.outputs):
        graph.tensors[item.tensorIndex].name = item.name
    for tensor in graph.tensors:
        tensor.shapeSignature = None  # the batch is 1, as the shape has it
    # The order of the names is that of other runtimes; "probabilities" is what most of them want.
    order = sorted(kept.outputs, key=lambda item: item.name != b"probabilities")
    graph.outputs = [item.tensorIndex for item in order]
    model.metadata = [schema.MetadataT()]
    model.metadata[0].name = METADATA
    model.metadata[0].buffer = _add_buffer(model, task_metadata(graph, labels))
    for buffer in model.buffers:
        buffer.__class__ = _Aligned
    builder = Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()) + packed_files(len(builder.Output()), labels)


def _leave_out_unused(model, graph) -> None:
    """Keeps the buffers and kinds of operations that a graph uses, and numbers them anew."""
    buffers = sorted({0, *(tensor.buffer for tensor in graph.tensors)})  # 0 is the empty one
    model.buffers = [model.buffers[k] for k in buffers]
    for tensor in graph.tensors:
        tensor.buffer = buffers.index(tensor.buffer)
    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[k] for k in codes]
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)


def _check_operations(model) -> None:
    used = {code.builtinCode for code in model.operatorCodes}
    if there := [name for name in _CONTROL if getattr(schema.BuiltinOperator, name) in used]:
        raise InputError(
            f"`single`: this network has loops or branches ({', '.join(there)}), which take more "
            "than one subgraph; leave it out"
        )


def _with_another_axis(model, graph, index: int) -> int:
    """Adds the operation that makes a vector a matrix of one column; the place of its output."""
    vector, operator = graph.tensors[index], schema.OperatorT()
    size, result = schema.TensorT(), schema.TensorT()
    size.name, size.type, size.shape = vector.name + b"/shape", schema.TensorType.INT32, [2]
    size.buffer = _add_buffer(model, np.array([*vector.shape, 1], "<i4").tobytes())
    result.shape, result.type, result.buffer = [*vector.shape, 1], vector.type, 0
    graph.tensors += [size, result]
    operator.opcodeIndex = _kind(model, schema.BuiltinOperator.RESHAPE)
    operator.inputs, operator.outputs = [index, len(graph.tensors) - 2], [len(graph.tensors) - 1]
    graph.operators.append(operator)
    return operator.outputs[0]


def _kind(model, code: int) -> int:
    """The place of a kind of operations, which is added if it isn't there."""
    codes = [kind.builtinCode for kind in model.operatorCodes]
    if code not in codes:
        kind = schema.OperatorCodeT()
        kind.builtinCode = kind.deprecatedBuiltinCode = code
        kind.version = 1
        model.operatorCodes.append(kind)
        codes.append(code)
    return codes.index(code)


def _add_buffer(model, content: bytes) -> int:
    """Adds a buffer; its place."""
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.frombuffer(content, "uint8")
    return len(model.buffers) - 1
