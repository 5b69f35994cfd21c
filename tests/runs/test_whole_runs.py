"""Runs of all trainings: interrupted in each, and with bridges of both ends."""

import json

import keras
import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.runs.ensemble_file import build_ensemble
from tests.runs.small import SMALL, check_interrupted, executed

pytestmark = pytest.mark.slow


# tests/faults/test_quick.py kills one, in a process of its own
def test_a_run_interrupted_in_every_training_ends_the_same(tmp_path, monkeypatch):
    config = Config(num_modes=2, augment="crop", norm="batch", **SMALL)
    check_interrupted(config, 4, tmp_path, monkeypatch)


def test_type_2_with_three_modes(tmp_path, capsys):
    config = Config(
        num_modes=3,
        bridge_type=2,
        r=0.25,
        taps=["stage1_block1", "stage2_block1"],
        curve_kind="chain",
        curve_degree=3,
        repulsion=0.1,
        export_dir=str(tmp_path / "exports"),
        **SMALL,
    )
    run = executed(config, tmp_path / "work")
    report = json.loads(run.files.report.read_text())
    assert [(row["name"], row["size"]) for row in report["ensembles"]] == [
        ("single", 1),
        ("deep_ensemble_2", 2),
        ("deep_ensemble_3", 3),
        ("curve_1", 3),
        ("curve_2", 5),
        ("curve_3", 6),
        ("bridge_1", 3),
        ("bridge_2", 5),
        ("bridge_3", 6),
        # Bridges of both ends cost more than the average cost of cascades.
        ("cascade_2", 2),
        ("cascade_3", 3),
    ]
    curves = [cascade["name"] for cascade in report["cascades"]]
    assert curves == ["cascade_2", "cascade_3", "bridge_cascade_1"]
    assert [(row["curve"], row["type"], row["r"]) for row in report["bridges"]] == [
        ([0, 1], 2, 0.25),
        ([0, 2], 2, 0.25),
        ([1, 2], 2, 0.25),
    ]
    # Each row of the table must hold what the deployed model of that size answers.
    test = run.data.test
    for row in report["ensembles"][-5:-2]:
        ensemble = build_ensemble(run).first(int(row["name"][-1]))
        answers = ensemble.predict(test.images, verbose=0)["probabilities"]
        assert row["accuracy"] == np.mean(answers.argmax(1) == test.labels)
        nll = -np.mean(np.log(answers[np.arange(len(test)), test.labels]))
        assert row["nll"] == pytest.approx(nll, rel=1e-4)
    assert "bridge_3" in capsys.readouterr().out
    # A page that was changed doesn't pass for the report's.
    page = run.files.report_page.read_text()
    run.files.report_page.write_text(page.replace("%", "% "))
    executed(config, tmp_path / "work", ["evaluate"])
    assert run.files.report_page.read_text() == page
    assert (tmp_path / "work" / "report.md.damaged").exists()


def test_a_run_of_everything_interrupted_in_every_training_ends_the_same(tmp_path, monkeypatch):
    """Draws in layers, matched neurons, chosen taps, one bridge for a curve that sees both ends."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 16)(inputs))
    x = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Dropout(0.2)(x))
    outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, outputs).save(tmp_path / "own.keras")
    options = {name: value for name, value in SMALL.items() if name != "width"}
    config = Config(
        model=str(tmp_path / "own.keras"),
        num_modes=3,
        bridge_type=2,
        conditioned=True,
        positions=[0.25, 0.5],
        align="activations",
        bridge_budget=0.9,
        bridge_learning_rate=0.01,
        **options,
    )
    check_interrupted(config, 3 + 3 + 3, tmp_path, monkeypatch)
