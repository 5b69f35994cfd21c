"""The models in saved_models/pretrained are what docs/results says of them."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from bridge_tf.data import load_dataset
from bridge_tf.export.scoring import log_probs_of
from bridge_tf.networks.loading import read_model
from tests.commands import done
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "saved_models" / "pretrained"
SETS = REPOSITORY.parent / "shared" / "tfds"
# Keras doesn't read what a later one has written.
READS_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
NAMES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def report_of(name: str) -> dict:
    path = REPOSITORY / "docs" / "results" / name / "seed0.json"
    return json.loads(path.read_text("utf-8"))


def test_split(name: str):
    """The images that the report measures on."""
    if name == "digits":
        return load_dataset("digits").test
    if not (SETS / name).is_dir():
        pytest.skip(f"the data set {name} isn't there")
    return load_dataset(f"tfds:{name}", str(SETS)).test


test_split.__test__ = False


def nll(log_probs: np.ndarray, labels: np.ndarray) -> float:
    log_probs = log_probs - logsumexp(log_probs, axis=1, keepdims=True)
    return -log_probs[np.arange(len(labels)), labels].mean()


def test_there_are_some():
    assert "digits" in NAMES and (FOLDER / "digits" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_figures_of_their_report(name):
    report, test = report_of(name), test_split(name).in_memory(name)
    best = f"bridge_{len(report['bridges'])}"
    (row,) = (row for row in report["ensembles"] if row["name"] == best)
    (small,) = (row for row in report["artifacts"] if row["file"] == f"{name}.int8.tflite")
    # Other processors round 8-bit sums differently.
    for file, wanted, tolerance in (("int8.tflite", small, 5e-3), ("tflite", row, 1e-4)):
        log_probs = log_probs_of(FOLDER / f"{name}.{file}", test.images)
        accuracy = (log_probs.argmax(axis=1) == test.labels).mean()
        assert accuracy == pytest.approx(wanted["accuracy"], abs=tolerance)
        found = nll(log_probs, test.labels)
        assert found == pytest.approx(wanted["calibrated_nll"], abs=tolerance)
    images = test.images[:100].astype("float32")
    if (FOLDER / name).is_dir():
        served = tf.saved_model.load(FOLDER / name / "1").signatures["serving_default"]
        answers = served(image=tf.constant(images))["probabilities"]
    elif not READS_KERAS:
        return
    else:
        model = read_model(FOLDER / f"{name}.keras", "model")
        answers = model.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(answers, np.exp(log_probs[:100]), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_its_command_and_card_are_there(name):
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert f"--flagfile=configs/{name}.flags" in readme
    assert (REPOSITORY / "configs" / f"{name}.flags").is_file()
    assert f"({pathlib.PurePath('../../docs/results')}/{name}/seed0.json)" in readme
    labels = (FOLDER / f"{name}.labels.txt").read_text("utf-8").splitlines()
    assert len(labels) == len(report_of(name)["data"].get("classes", labels))


def test_a_picture_is_predicted_at_once():
    image = REPOSITORY / "docs" / "gallery" / "seven.png"
    printed = done("predict", f"--model={FOLDER}/digits.tflite", str(image)).stdout
    assert json.loads(printed)["label"] == "7"
