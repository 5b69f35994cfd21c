"""The notebooks run, and are kept without outputs."""

import re

import keras
import nbclient
import nbformat
import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.test_readme import shortened

FOLDER = REPOSITORY / "notebooks"
SECONDS = 300  # of a cell, with other work on the machine


def ran(name: str, folder) -> str:
    """What a notebook prints, trainings made short."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", nbformat.NO_CONVERT)
    for cell in notebook.cells:
        cell.source = shortened(cell.source)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.iterdir()))
def test_notebooks_have_no_outputs(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


@pytest.mark.slow
def test_digits(tmp_path):
    printed = ran("digits", tmp_path)
    flops = re.findall(r"^(single|deep ensemble|base and \w+) +(\S+)", printed, re.MULTILINE)
    *others, (_, with_bridge) = flops
    names = ("deep ensemble", "base and member")
    assert others == [("single", "1.00"), *((name, "2.00") for name in names)]
    assert 1 < float(with_bridge) < 1.25
    ensemble = keras.models.load_model(tmp_path / "digits_ensemble.keras")
    found = ensemble.predict(np.zeros((2, 8, 8, 1), "float32"), verbose=0)
    assert found["log_probabilities"].shape == (2, 2, 10)


@pytest.mark.slow
def test_own_model(tmp_path):
    printed = ran("own_model", tmp_path)
    assert "Choice(tap='backbone." in printed
    assert printed.splitlines()[-1] == "saved_models/own/1 saved_models/own.tflite"
    labels = (tmp_path / "saved_models" / "own.labels.txt").read_text().splitlines()
    assert labels == list("56789")


@pytest.mark.slow
def test_serve(tmp_path):
    printed = ran("serve", tmp_path)
    number = r"(\d[\d.e-]*)$"
    names = "probabilities|entropy|disagreement"
    differences = re.findall(rf"^(?:{names}) {number}", printed, re.MULTILINE)
    assert len(differences) == 3
    assert max(map(float, differences)) < 1e-4  # what an export allows
    assert len(re.findall(r"temperature \d", printed)) == 2
