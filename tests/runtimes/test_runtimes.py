"""Runtimes that pip or npm can install predict as Keras does, by the lines of docs/runtimes.md.

BRIDGE_TF_RUNTIMES names a folder that keeps their environments for the next time.
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest

from benchmarks.runtimes.make import make
from benchmarks.runtimes.measure import environment, measure
from benchmarks.runtimes.page import PAGE
from benchmarks.runtimes.table import RUNTIMES
from tests.export.test_edge_pages import blocks

pytestmark = pytest.mark.runtimes

# Of a probability, as the export's own check has it; another where a runtime rounds pixels.
ATOL = 1e-4


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return pathlib.Path(os.environ.get("BRIDGE_TF_RUNTIMES") or tmp_path_factory.mktemp("kept"))


RUN = [runtime for runtime in RUNTIMES if runtime.is_run]


@pytest.mark.parametrize("runtime", RUN, ids=lambda runtime: runtime.key)
def test_it_predicts_as_keras_does(runtime, files, kept):
    found = measure(runtime, files, kept)
    assert found["max_difference"] <= ATOL
    assert found["agreement"] == 1
    assert found["versions"].keys() == {*runtime.of_versions}
    assert found["ratio"] > 0


def test_core_ml_converts_by_the_lines_of_the_page(files, kept):
    (convert, one) = blocks(PAGE.read_text().split("## Core ML")[1].split("## Lines")[0])
    check = """
given = ct.models.MLModel("NAME.mlpackage", skip_model_load=True).get_spec().description
shapes = {x.name: list(x.type.multiArrayType.shape) for x in [*given.input, *given.output]}
assert shapes.pop("image") == [1, 32, 32, 3], shapes
assert shapes == {"probabilities": [1, 10], "entropy": [1], "disagreement": [1]}, shapes
"""
    python = environment("core_ml", ("tensorflow==2.21.*", "coremltools==9.0"), kept)
    for program in (convert + check, one):
        program = program.replace("saved_models/NAME/1", "model/1")
        done = subprocess.run([python, "-c", program], cwd=files, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    import tensorflow as tf

    loaded = tf.saved_model.load(str(files / "one_signature"))
    assert list(loaded.signatures) == ["serving_default"]
    with np.load(files / "images.npz") as given:
        images, wanted = given["images"].astype("float32"), given["probabilities"]
    outputs = loaded.signatures["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=ATOL)
