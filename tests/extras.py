"""Marks for tests of extras, which `pip install '.[test]'` has all of."""

import pytest

from bridge_tf.utils.extras import install, is_installed


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skips a test where one of these modules isn't installed."""
    missing = [name for name in modules if not is_installed(name)]
    return pytest.mark.skipif(bool(missing), reason=", ".join(map(install, missing)))


needs_jax = needs("jax")
needs_onnx = needs("onnx", "onnxruntime", "tf2onnx")
needs_compression = needs("tensorflow_model_optimization", "tf_keras")
