"""Packages that only some uses need, from the extras in setup.cfg."""

import importlib
import importlib.util
import types

from bridge_tf.utils.errors import InputError

# The modules and their extras.
EXTRAS = {
    "fsspec": "ray",
    "jax": "jax",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "ray": "ray",
    "tensorflow_model_optimization": "compress",
    "tensorflow_serving": "serving",
    "tf2onnx": "onnx",
    "tf_keras": "compress",
}


def install(module: str) -> str:
    """How to install the extra that has a module."""
    return f"pip install 'bridge_tf[{EXTRAS[module]}]'"


def is_installed(module: str) -> bool:
    """Whether a module could be imported; imports nothing."""
    return importlib.util.find_spec(module) is not None


def check_extra(module: str, argument: str) -> None:
    """Raises an InputError that names the extra if a module isn't installed; imports nothing."""
    if not is_installed(module):
        raise InputError(f"`{argument}`: needs {module}; {install(module)} has it")


def import_extra(module: str, argument: str) -> types.ModuleType:
    """A module of an extra.

    Raises:
        InputError: it isn't installed; names `argument`, which asks for it, and the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"`{argument}`: needs {module}; {install(module)} has it") from error
