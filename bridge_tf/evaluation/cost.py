"""What inference costs: floating-point operations and parameters.

TensorFlow's own profiler knows no FLOPs for many operations (Sigmoid, AddV2, LogSoftmax, …) and
passes over them in silence, so the operations of the frozen graph are counted here. A
multiply-add counts two; element-wise arithmetic one an element of the output, whatever the
function; reductions and pooling one an element that is read; moving data nothing.
"""

import logging
import math

_MOVES_DATA = frozenset(
    "BroadcastTo Cast ConcatV2 Const ExpandDims Fill Gather GatherV2 Identity IdentityN NoOp Pack "
    "Pad PadV2 Placeholder Range Reshape ResizeBilinear ResizeNearestNeighbor ReverseV2 Shape "
    "Slice Split SplitV Squeeze StopGradient StridedSlice Tile Transpose Unpack "
    "SpaceToBatchND BatchToSpaceND PreventGradient Prod ShapeN BroadcastArgs Assert".split()
)
_ELEMENTWISE = frozenset(
    "Abs Add AddN AddV2 BiasAdd Div DivNoNan Elu Equal Erf Erfc Exp Expm1 Floor FloorDiv FloorMod "
    "Greater GreaterEqual IsFinite LeakyRelu Less LessEqual Log Log1p LogicalAnd LogicalNot "
    "LogicalOr LogSoftmax Maximum Minimum Mul Neg NotEqual Pow RealDiv Reciprocal Relu Relu6 Round "
    "Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Cos Softmax Softplus Softsign Sqrt Square "
    "SquaredDifference Sub Tanh Xdivy Xlogy FusedBatchNormV3".split()
)
_REDUCTIONS = frozenset(
    "All Any ArgMax ArgMin AvgPool Max MaxPool MaxPoolV2 Mean Min Sum Cumsum".split()
)
_CONVOLUTIONS = frozenset("Conv2D Conv3D DepthwiseConv2dNative".split())
_PRODUCTS = frozenset("MatMul BatchMatMulV2 BatchMatMulV3 BatchMatMul".split())


def count_flops(model) -> int:
    """Floating-point operations of one image's inference, counted in the executed graph.

    Args:
        model: a built Keras model (TensorFlow backend).

    Returns:
        The sum over all operations of the frozen graph at batch size 1. A type of operation that
        isn't known is logged as a warning and counts nothing.
    """
    graph = _frozen_graph(model)
    total, unknown = 0, set()
    for operation in graph.get_operations():
        flops = _operation_flops(operation)
        if flops is None:
            unknown.add(operation.type)
        else:
            total += flops
    if unknown:
        logging.getLogger(__name__).warning("FLOPs not counted for %s", ", ".join(sorted(unknown)))
    return total


def count_params(model) -> int:
    """Number of parameters that inference reads: all floating-point weights, each once."""
    from bridge_tf.layers import is_float

    weights = {id(weight): weight for weight in model.weights if is_float(weight)}
    return sum(math.prod(weight.shape) for weight in weights.values())


def _frozen_graph(model):
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    specs = [
        tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=f"input_{k}")
        for k, tensor in enumerate(model.inputs)
    ]
    function = tf.function(
        lambda *inputs: model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
    )
    # Freezing also puts called functions in their callers' place.
    return convert_variables_to_constants_v2(function.get_concrete_function(*specs)).graph


def _operation_flops(operation) -> int | None:
    kind = operation.type
    if kind in _MOVES_DATA:
        return 0
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
        # Overlapping windows read an element more than once.
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
