"""The cost of inference: floating-point operations (FLOPs) and parameters.

TensorFlow's own profiler silently skips many operations (Sigmoid, AddV2, LogSoftmax, …). Here a
multiply-add counts two, an element-wise operation one for each output element, a reduction or
pooling one for each element that it reads, and moving data zero.
"""

import functools
import logging
import math

_MOVES_DATA = frozenset(
    "BroadcastTo Cast ConcatV2 Const ExpandDims Fill Gather GatherV2 Identity IdentityN NoOp Pack "
    "Pad PadV2 Placeholder Range ReadVariableOp Reshape ResizeNearestNeighbor ReverseV2 Shape "
    "Slice Split SplitV Squeeze StopGradient StridedSlice Tile Transpose Unpack "
    "SpaceToBatchND BatchToSpaceND PreventGradient Prod ShapeN BroadcastArgs Assert".split()
)
# Text and tables: no floating-point operations.
_LOOKS_UP = frozenset(
    "AsString LookupTableFindV2 RaggedTensorToTensor StaticRegexReplace StringLower StringNGrams "
    "StringSplitV2 StringToHashBucketFast StringToHashBucketStrong UnicodeDecodeWithOffsets".split()
)
_ELEMENTWISE = frozenset(
    "Abs Add AddN AddV2 BiasAdd Div DivNoNan Elu Equal Erf Erfc Exp Expm1 Floor FloorDiv FloorMod "
    "Greater GreaterEqual IsFinite LeakyRelu Less LessEqual Log Log1p LogicalAnd LogicalNot "
    "LogicalOr LogSoftmax Maximum Minimum Mul Neg NotEqual Pow RealDiv Reciprocal Relu Relu6 "
    "ResizeBilinear Round Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Cos Softmax Softplus "
    "Softsign Sqrt Square SquaredDifference Sub Tanh Xdivy Xlogy FusedBatchNormV3".split()
)
_REDUCTIONS = frozenset(
    "All Any ArgMax ArgMin AvgPool Max MaxPool MaxPoolV2 Mean Min Sum Cumsum".split()
)
_CONVOLUTIONS = frozenset("Conv2D Conv3D DepthwiseConv2dNative".split())
_PRODUCTS = frozenset("MatMul BatchMatMulV2 BatchMatMulV3 BatchMatMul".split())
# Attributes of an operation with several functions, of which it runs one.
_CALLS = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "While": ("body",),
    "StatelessWhile": ("body",),
}


def count_flops(model) -> int:
    """Floating-point operations of one image's inference, counted in the executed graph.

    The model is a built Functional or Sequential one (TensorFlow backend). A condition counts as
    its larger branch, a loop as one pass. A warning names what can't be counted: unknown types of
    operations, further passes of a loop, shapes that are known only at run time.

    Raises:
        ValueError: an input has an unknown dimension other than the batch.
    """
    import keras

    unknown: set[str] = set()
    total = _graph_flops(keras.tree.flatten(_trace(model).structured_outputs), unknown)
    _warn(unknown)
    return total


def count_flops_of_outputs(model) -> list[int]:
    """The FLOPs of each output of a model, counted as in `count_flops`."""
    import keras

    unknown: set[str] = set()
    outputs = keras.tree.flatten(_trace(model).structured_outputs)
    totals = [_graph_flops([output], unknown) for output in outputs]
    _warn(unknown)
    return totals


def _warn(unknown: set[str]) -> None:
    if unknown:
        logging.getLogger(__name__).warning("FLOPs not counted for %s", ", ".join(sorted(unknown)))


def count_params(model) -> int:
    """Number of parameters that inference reads: floating-point weights, each counted once."""
    from bridge_tf.utils.keras_utils import is_float

    weights = {id(weight): weight for weight in model.weights if is_float(weight)}
    return sum(math.prod(weight.shape) for weight in weights.values())


def _trace(model):
    import keras
    import tensorflow as tf

    from bridge_tf.utils.graph import as_functional
    from bridge_tf.utils.keras_utils import unrolled

    model = as_functional(model)
    specs = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype), model.input
    )
    if not all(spec.shape.is_fully_defined() for spec in keras.tree.flatten(specs)):
        raise ValueError(f"FLOPs need inputs of a known size. Received: model.input={model.input}")
    called = functools.partial(model, training=False)
    if any(spec.dtype == tf.string for spec in keras.tree.flatten(specs)):
        called = functools.partial(_with_known_shapes, model)
    # Not frozen, which loses static shapes behind compiled calls (grouped convolutions on a CPU).
    function = tf.function(called)
    with unrolled(model):  # further passes of a loop can't be counted
        return function.get_concrete_function(specs)


def _with_known_shapes(model, inputs):
    """The outputs of a graph for one input, with the shapes that Keras knows.

    Splitting text loses them.
    """
    import keras

    from bridge_tf.utils.walk import replay

    def call(node, values):
        arguments, options = node.arguments.fill_in(values)
        outputs = keras.tree.flatten(node.operation(*arguments, **options))
        for output, known in zip(outputs, node.outputs, strict=True):
            output.set_shape((1, *known.shape[1:]))
        return outputs

    return replay(model, keras.tree.flatten(inputs), call)


def _graph_flops(outputs, unknown: set[str]) -> int:
    """FLOPs of all operations that `outputs` depend on; adds uncounted ones to `unknown`."""
    total = 0
    pending, seen = [tensor.op for tensor in outputs], set()
    while pending:
        operation = pending.pop()
        if operation in seen:
            continue
        seen.add(operation)
        pending.extend(tensor.op for tensor in operation.inputs)
        if operation.type in _CALLS:
            total += _call_flops(operation, unknown)
            continue
        flops = _operation_flops(operation)
        if flops is None:
            unknown.add(operation.type)
        else:
            total += flops
    return total


def _call_flops(operation, unknown: set[str]) -> int:
    if operation.type in ("While", "StatelessWhile"):
        unknown.add(f"{operation.type} (passes after the first)")
    # TensorFlow has no public way to find the function that an operation calls.
    graphs = [
        operation.graph._get_function(operation.get_attr(name).name).graph
        for name in _CALLS[operation.type]
    ]
    return max(_graph_flops(graph.outputs, unknown) for graph in graphs)


def _operation_flops(operation) -> int | None:
    kind = operation.type
    if kind in _MOVES_DATA or kind in _LOOKS_UP:
        return 0
    tensors = (*operation.inputs, *operation.outputs)
    if not all(tensor.shape.is_fully_defined() for tensor in tensors):
        return None
    if kind in _ELEMENTWISE:
        return _size(operation.outputs[0])
    if kind in _REDUCTIONS:
        return _reads(operation)
    if kind in _CONVOLUTIONS:
        kernel = operation.inputs[1].shape.as_list()
        # Conv: height, width, inputs (of a group), outputs. Depthwise: …, inputs, multiplier.
        window = math.prod(kernel[:-1] if kind != "DepthwiseConv2dNative" else kernel[:-2])
        return 2 * window * _size(operation.outputs[0])
    if kind in _PRODUCTS:
        transposed = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        inner = operation.inputs[0].shape.as_list()[-2 if transposed else -1]
        return 2 * inner * _size(operation.outputs[0])
    if kind == "Einsum":
        return _einsum_flops(operation)
    return None


def _reads(operation) -> int:
    if operation.type in ("AvgPool", "MaxPool"):
        # Overlapping windows read elements several times.
        return math.prod(operation.get_attr("ksize")) * _size(operation.outputs[0])
    return _size(operation.inputs[0])


def _einsum_flops(operation) -> int:
    letters = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sizes = {}
    for names, tensor in zip(letters, operation.inputs, strict=True):
        sizes.update(zip(names.replace("...", ""), tensor.shape.as_list(), strict=True))
    return 2 * math.prod(sizes.values())


def _size(tensor) -> int:
    return math.prod(tensor.shape.as_list())
