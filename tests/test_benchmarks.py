"""The scripts in benchmarks/, but for PyTorch's side, which needs another environment."""

import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow  # two processes that compile
def test_a_table_of_training_steps():
    result = subprocess.run(
        [
            sys.executable,
            "benchmarks/training_step.py",
            "--cells=vgg/frn",
            "--rounds=2",
            "--steps=1",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    header, _, row = result.stdout.splitlines()
    assert header.startswith("| network | norm | without XLA | XLA | ratio |")
    assert row.startswith("| vgg | frn |")
    without, compiled, ratio = map(
        float, re.findall(r"\| ([\d.]+) (?=\|)", row.replace(",", ""))[:3]
    )
    assert ratio == pytest.approx(without / compiled, rel=0.1)  # of rounded figures
