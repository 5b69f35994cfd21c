"""Quantized .tflite files of an exported ensemble, by TensorFlow's own converter.

Signatures are those of the float32 file, with shared weights. Inputs and outputs are in float,
except images if uint8 is asked for.
"""

import pathlib
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.signatures import Signatures, as_typed, converter_of, positions_of, values_for
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import quiet_stderr

# Operations with weights, whose inputs quantization gains most on.
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")
# Operations of normalization over an image's own values. At 8 bits they are slower or missing, and
# less exact on images unlike the calibration's, since the range of their results is wide.
_WIDE = ("SQUARE", "SQUARED_DIFFERENCE", "SQRT", "RSQRT", "DIV", "POW", "EXP", "LOG")
# Operations with several outputs, which the converter doesn't find by these outputs' names.
_SORTING = ["TOPK_V2"]


def write_quantized(
    signatures: Signatures,
    saved_model: pathlib.Path,
    path: pathlib.Path,
    kind: str,
    images: np.ndarray,
) -> None:
    """Writes a quantized .tflite file.

    With "int8", operations after the last ones with weights (softmax, mean and entropies, whose
    precision matters near 0) stay in float32. So do those between operations with weights that
    normalize images by their own values, as filter response normalization does.

    Args:
        signatures: of the ensemble, for the type of images that the file takes.
        saved_model: the folder with these signatures.
        kind: "float16": weights of 16 bits; "int8_dynamic": weights of 8 bits, activations
            quantized at run time; "int8": both of 8 bits, activations by their ranges on `images`.
        images: for "int8", real inputs of the ensemble, at least one; up to 200 are used.

    Raises:
        InputError: there are no images to calibrate on.
    """
    converter = converter_of(signatures, saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind != "int8":
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(with_main(converter.convert()))
        return
    if not len(images):
        raise InputError("`tflite=int8`: needs training images to calibrate on, and there are none")
    # More than 200 change the ranges little.
    chosen = np.linspace(0, len(images) - 1, min(len(images), 200)).astype(int)
    converter.representative_dataset = _calibration(signatures, images[chosen])
    # Float operations are allowed for those that have no 8-bit version.
    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8, ops.TFLITE_BUILTINS]
    # The float file's tensors have the same names.
    float_nodes = _kept_in_float(converter_of(signatures, saved_model).convert())
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=float_nodes, denylisted_ops=_SORTING
    )
    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")  # the interpreter's future package
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: iter(()), debug_options=options
        )
        path.write_bytes(with_main(debugger.get_nondebug_quantized_model()))


def _calibration(signatures: Signatures, images: np.ndarray) -> Callable:
    """A function that yields the name and inputs of each signature, image by image."""
    feeding, positions = signatures.feeding, positions_of(signatures.ensemble)
    compiled = feeding and tf.function(feeding.function)

    def pairs() -> Iterator[tuple[str, dict]]:
        for k, image in enumerate(images):
            at = [positions[k % len(positions)]] if positions else []
            values = values_for(signatures, np.asarray(image)[None], at, compiled)
            for signature in signatures.in_tflite:
                inputs = ((spec, values[spec.name]) for spec in signature.inputs)
                yield signature.name, {spec.name: as_typed(x, spec) for spec, x in inputs}

    return pairs


def _kept_in_float(content: bytes) -> list[str]:
    """The outputs, by name, of operations of a .tflite file that stay in float."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    names = []
    for graph in model.subgraphs:
        operators = [(codes[item.opcodeIndex], item) for item in graph.operators]
        kept = _behind_weights(operators) | _beside_wide(operators)
        names += [graph.tensors[k].name.decode() for k in sorted(kept)]
    return names


def _behind_weights(operators: list) -> set[int]:
    """The output tensors of operations that lead to none with weights."""
    weighted, found = _codes(_WEIGHTED), set()
    leading: set[int] = set()  # tensors that lead to weights
    for code, operator in reversed(operators):
        if code in weighted or leading.intersection(operator.outputs):
            leading.update(operator.inputs)
        else:
            found.update(operator.outputs)
    return found


def _beside_wide(operators: list) -> set[int]:
    """The output tensors of operations of `_WIDE` and of those that unweighted tensors join."""
    weighted, wide = _codes(_WEIGHTED), _codes(_WIDE)
    groups: list[tuple[set[int], bool]] = []  # outputs, and whether there is a wide one
    for code, operator in operators:
        if code in weighted:
            continue
        joined = [group for group in groups if not group[0].isdisjoint(operator.inputs)]
        groups = [group for group in groups if group not in joined]
        outputs = set(operator.outputs).union(*(group[0] for group in joined))
        groups.append((outputs, code in wide or any(group[1] for group in joined)))
    return set().union(*(outputs for outputs, has_wide in groups if has_wide))


def _codes(names: tuple[str, ...]) -> set[int]:
    return {getattr(schema.BuiltinOperator, name) for name in names}
