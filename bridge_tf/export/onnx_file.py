"""The ONNX file of an export: the .tflite file's serving_default, which ONNX has no signatures for.

Inputs and outputs have the names of the signature, and a batch of any size. A cascade runs every
image through both stages, as in its .tflite file.
"""

import logging
import pathlib
from collections.abc import Callable

import numpy as np

from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.extras import install, is_installed
from bridge_tf.utils.terminal import quiet_stderr

WHOLE = "serving_default"
# Of ONNX 1.12, which has the operations of all networks here; older runtimes read it too.
_OPSET = 17
_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
_TYPES = {"float": "float32", "double": "float64"}


def check_onnx() -> None:
    """Raises an InputError if a package that writes or compares ONNX files is missing."""
    if missing := [name for name in _PACKAGES if not is_installed(name)]:
        raise InputError(
            f"`formats=onnx`: needs {' and '.join(missing)}; {install(missing[0])} has it"
        )


def write_onnx(saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's serving_default to an ONNX file.

    Raises:
        InputError: it has operations that tf2onnx doesn't convert.
    """
    import onnx
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        with quiet_stderr():
            # The signature's own constants are inputs of a graph made by `from_function`.
            graph, inputs, outputs, names = tf2onnx.tf_loader.from_saved_model(
                str(saved_model), None, None, "serve", [WHOLE], return_tensors_to_rename=True
            )
            given = {"input_names": inputs, "output_names": outputs, "tensors_to_rename": names}
            model, _ = tf2onnx.convert.from_graph_def(graph, WHOLE, opset=_OPSET, **given)
            for tensor in (*model.graph.input, *model.graph.output):
                tensor.type.tensor_type.shape.dim[0].dim_param = "N"
            onnx.save(model, path)
            onnx.checker.check_model(model)
            _session(path)
    except Exception as error:  # of three packages
        raise InputError(
            f"`formats=onnx`: this network can't be converted ({reason(error)}); leave onnx out"
        ) from error


def onnx_runner(path: pathlib.Path, signature: str = WHOLE) -> Callable[[dict], dict]:
    """A function from the named inputs of an ONNX file to its named outputs.

    Raises:
        InputError: onnxruntime is missing, or another signature is asked for.
    """
    if signature != WHOLE:
        raise InputError(
            f"`model`: {path} has {WHOLE} alone, and no signature {signature}; name the .tflite "
            "file or the SavedModel"
        )
    session = _session(path)
    names = [tensor.name for tensor in session.get_outputs()]

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


def onnx_signatures(path: pathlib.Path) -> dict[str, dict]:
    """The one signature of an ONNX file, in the form of `metadata.signatures_in`."""
    session = _session(path)
    both = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
    return {
        WHOLE: {
            kind: {
                tensor.name: {
                    "index": k,
                    "shape": [n if isinstance(n, int) else -1 for n in tensor.shape],
                    "type": _type(tensor.type),
                }
                for k, tensor in enumerate(tensors)
            }
            for kind, tensors in both.items()
        }
    }


def _type(text: str) -> str:
    """NumPy's name of a type such as "tensor(float)"."""
    name = text.removeprefix("tensor(").removesuffix(")")
    return _TYPES.get(name, name)


def _session(path: pathlib.Path):
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"`model`: {path} needs onnxruntime; {install('onnxruntime')} has it"
        ) from error
    with quiet_stderr():
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
