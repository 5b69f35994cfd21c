"""The models in saved_models/pretrained are what docs/results says of them."""

import json

import numpy as np
import pytest

from bridge_tf.data import load_dataset
from bridge_tf.evaluation.metrics import accuracy, nll
from bridge_tf.export.predictor import load_predictor
from bridge_tf.export.scoring import log_probs_of
from tests.commands import done
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "saved_models" / "pretrained"
SETS = REPOSITORY.parent / "shared" / "tfds"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def report_of(name: str) -> dict:
    path = REPOSITORY / "docs" / "results" / name / "seed0.json"
    return json.loads(path.read_text("utf-8"))


def measured_images(name: str):
    """The images that the report measures on."""
    if name == "digits":
        return load_dataset("digits").test
    if not (SETS / name).is_dir():
        pytest.skip(f"the data set {name} isn't there")
    return load_dataset(f"tfds:{name}", str(SETS)).test


def test_there_are_some():
    assert "digits" in NAMES and (FOLDER / "digits" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_figures_of_their_report(name):
    report, test = report_of(name), measured_images(name).in_memory(name)
    best = f"bridge_{len(report['bridges'])}"
    (row,) = (row for row in report["ensembles"] if row["name"] == best)
    (small,) = (row for row in report["artifacts"] if row["file"] == f"{name}.int8.tflite")
    # Other processors round 8-bit sums differently.
    for file, wanted, tolerance in (("int8.tflite", small, 5e-3), ("tflite", row, 1e-4)):
        log_probs = log_probs_of(FOLDER / f"{name}.{file}", test.images)
        found = accuracy(log_probs, test.labels), nll(log_probs, test.labels)
        assert found[0] == pytest.approx(wanted["accuracy"], abs=tolerance)
        assert found[1] == pytest.approx(wanted["calibrated_nll"], abs=tolerance)
    answers = load_predictor(FOLDER / name)(test.images[:100].astype("float32"))
    np.testing.assert_allclose(answers["probabilities"], np.exp(log_probs[:100]), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_its_command_and_card_are_there(name):
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert f"--flagfile=configs/{name}.flags" in readme
    assert (REPOSITORY / "configs" / f"{name}.flags").is_file()
    assert f"(../../docs/results/{name}/seed0.json)" in readme
    labels = (FOLDER / f"{name}.labels.txt").read_text("utf-8").splitlines()
    assert len(labels) == report_of(name)["dataset"]["num_classes"]


def test_a_picture_is_predicted_at_once():
    image = REPOSITORY / "docs" / "gallery" / "seven.png"
    printed = done("predict", f"--model={FOLDER}/digits.tflite", str(image)).stdout
    assert json.loads(printed)["label"] == "7"
