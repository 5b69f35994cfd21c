"""The tests of curves again, on the JAX backend, in a process of its own."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.extras import needs_jax


@needs_jax
@pytest.mark.zoo
@pytest.mark.parametrize("name", ["vision_transformer", "ResNet50V2"])
def test_curves_on_jax(name):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/zoo/test_curves.py",
        "-n0",
        "-m",
        "zoo or not zoo",
    ]
    result = subprocess.run(
        [*command, "-k", name],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout
