"""Help, which must answer before TensorFlow could be imported."""

import dataclasses
import subprocess
import sys

import pytest

from bridge_tf.config import Config
from tests.commands import done
from tests.conftest import REPOSITORY

NAMES = sorted(path.name for path in (REPOSITORY / "bin").iterdir())

# Runs a command's file where importing TensorFlow or Keras fails.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "sklearn", "scipy")))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_tensorflow(name):
    program = [sys.executable, "-c", WITHOUT, str(REPOSITORY / "bin" / name), "--help"]
    result = subprocess.run(program, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"bin/{name}" in result.stdout
    assert "--flagfile" in result.stdout


def test_every_setting_is_a_documented_flag_of_train():
    printed = done("train", "--help").stdout
    for field in dataclasses.fields(Config):
        assert f"\n  --{field.name}: {field.metadata['help']}" in printed
