"""bin/calibrate on an ensemble and its exported files."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from bridge_tf import BridgeEnsemble, CascadeEnsemble, build_bridge, export
from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export import load_predictor
from bridge_tf.networks.loading import read_model
from tests.commands import done, refused
from tests.tiny import tiny_network

X = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 1)).astype("uint8")
OLD = (1.6, 0.7)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An ensemble, its export, and images with labels as its base predicts at temperature 0.4."""
    folder = tmp_path_factory.mktemp("calibrated")
    base = tiny_network(0)
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 1)], (), None, (), "e", *OLD)
    ensemble.save(folder / "e.keras")
    sets = PredictionSets(0.9, 0.9, 300)
    export(ensemble, folder / "exports", "mine", X, sets=sets)
    logs = ensemble.predict(X, verbose=0)["log_probabilities"]
    probabilities = softmax(np.log(np.exp(logs).mean(axis=1)) / 0.4, axis=1)
    generator = np.random.default_rng(1)
    labels = np.array([generator.choice(5, p=p / p.sum()) for p in probabilities.astype("float64")])
    arrays = {
        "x_train": X[:100],
        "y_train": labels[:100],
        "x_test": X[100:],
        "y_test": labels[100:],
    }
    np.savez(folder / "new.npz", **arrays)
    np.savez(folder / "few.npz", **arrays | {"x_test": X[:19], "y_test": labels[:19]})
    np.savez(folder / "classes.npz", **arrays | {"y_train": np.arange(100) % 6})
    large = {name: np.repeat(x, 2, axis=2) for name, x in arrays.items() if name[0] == "x"}
    np.savez(folder / "large.npz", **arrays | large)
    colour = {name: np.repeat(x, 3, axis=3) for name, x in arrays.items() if name[0] == "x"}
    np.savez(folder / "colour.npz", **arrays | colour)
    return folder, logs[100:].astype("float64"), labels[100:]


def _nll(log_probs, labels, temperature) -> float:
    return -log_softmax(log_probs / temperature, axis=1)[np.arange(len(labels)), labels].mean()


def _best(log_probs, labels) -> float:
    """By another search, with the prior that docs/evaluation.md states."""
    found = minimize_scalar(
        lambda x: _nll(log_probs, labels, np.exp(x)) + x**2 / (2 * 0.5**2) / len(labels),
        bracket=(-1, 0),
    )
    return float(np.exp(found.x))


def calibrated(place, model, *flags) -> dict:
    command = ["calibrate", f"--model={model}", "--dataset=npz:new.npz", *flags]
    return json.loads(done(*command, cwd=place).stdout)


@pytest.mark.integration
@pytest.mark.parametrize("model", ["e.keras", "exports/mine.tflite", "exports/mine"])
def test_temperatures_are_those_of_the_images(place, model):
    folder, logs, labels = place
    found = calibrated(folder, model)
    assert found["images"] == 300
    members = {"ensemble": np.log(np.exp(logs).mean(axis=1)), "base": logs[:, 0]}
    for (name, log_probs), old in zip(members.items(), OLD, strict=True):
        row = found[name]
        # Files give probabilities in float32.
        assert row["temperature"] == pytest.approx(_best(log_probs, labels), rel=1e-4)
        assert row["accuracy"] == (log_probs.argmax(axis=1) == labels).mean()
        assert row["old_temperature"] == old
        assert row["factor"] == pytest.approx(row["temperature"] / old, rel=1e-6)
        assert row["nll_before"] == pytest.approx(_nll(log_probs, labels, old), abs=1e-5)
        halves = np.array_split(np.random.default_rng(0).permutation(300), 2)
        crossed = [
            _nll(log_probs[a], labels[a], _best(log_probs[b], labels[b]))
            for a, b in (halves, halves[::-1])
        ]
        assert row["nll_after"] == pytest.approx(np.mean(crossed), abs=1e-5)
        low, high = row["change"]
        assert low < row["nll_after"] - row["nll_before"] < high
    assert found["ensemble"]["change"][1] < 0  # better by more than chance
    assert ("early_exit" in found) == (model == "e.keras")
    assert ("old_prediction_sets" in found) == (model != "e.keras")


def test_a_calibrated_ensemble_is_written(place, tmp_path):
    folder, logs, labels = place
    found = calibrated(folder, "e.keras", f"--output={tmp_path}/new.keras", "--coverage=0.8")
    new = read_model(tmp_path / "new.keras", "model")
    temperature = found["ensemble"]["temperature"]
    assert (new.temperature, new.base_temperature) == (temperature, found["base"]["temperature"])
    wanted = softmax(np.log(np.exp(logs).mean(axis=1)) / temperature, axis=1)
    probabilities = new.predict(X[100:], verbose=0)["probabilities"]
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    sets = PredictionSets(**found["prediction_sets"])
    assert sets.images == 300
    assert sets.predict(wanted)[np.arange(300), labels].sum() >= np.ceil(301 * 0.8)
    again = refused(
        *("calibrate", f"--model={folder}/e.keras", f"--dataset=npz:{folder}/new.npz"),
        f"--output={tmp_path}/new.keras",
    )
    assert again.endswith("new.keras must be a new file that ends in .keras")


def _fitted(stages, labels, average_cost):
    """Temperatures and threshold of a cascade of one network and three, by another search."""
    temperatures = [_best(stage, labels) for stage in stages]
    tops = np.sort(softmax(stages[0] / temperatures[0], axis=1).max(axis=1))
    # Of so many images that go on, each costs two networks more.
    number = max(n for n in range(len(tops)) if 1 + 2 * n / len(tops) <= average_cost)
    return temperatures, float(tops[number])


def _chosen(stages, temperatures, threshold):
    first, second = (log_softmax(x / t, axis=1) for x, t in zip(stages, temperatures, strict=True))
    goes_on = np.exp(first).max(axis=1) < threshold - 1e-6  # which is that of one image
    return np.where(goes_on[:, None], second, first), goes_on


@pytest.mark.integration
def test_a_cascade_is_calibrated(place, tmp_path):
    folder, _, labels = place
    modes = [tiny_network(k) for k in range(3)]
    first = BridgeEnsemble(modes[0], []).calibrated(1.6, 0.7)
    CascadeEnsemble(first, modes[1:], 0.5, 1.3).save(tmp_path / "cascade.keras")
    output = tmp_path / "new.keras"
    flags = [f"--output={output}", "--average_cost=1.5", "--coverage=0.8"]
    found = calibrated(folder, tmp_path / "cascade.keras", *flags)
    members = [log_softmax(m.predict(X[100:], verbose=0).astype("float64"), 1) for m in modes]
    stages = members[0], np.log(np.mean(np.exp(members), axis=0))
    temperatures, threshold = _fitted(stages, labels, 1.5)
    row = found["cascade"]
    assert row["threshold"] == pytest.approx(threshold, abs=1e-4)
    for name, temperature in zip(("first", "second"), temperatures, strict=True):
        assert found[name]["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert found["base"]["temperature"] == pytest.approx(temperatures[0], rel=1e-4)
    predicted, goes_on = _chosen(stages, temperatures, threshold)
    assert row["share_going_on_after"] == pytest.approx(goes_on.mean())
    assert row["average_flops_after"] == pytest.approx(1 + 2 * goes_on.mean())
    assert row["average_flops_after"] <= 1.5
    before, went_on = _chosen(stages, (1.6, 1.3), 0.5)
    assert row["share_going_on_before"] == pytest.approx(went_on.mean())
    rows = np.arange(300)
    assert row["nll_before"] == pytest.approx(-before[rows, labels].mean(), abs=1e-5)
    for when, answers in (("before", before), ("after", predicted)):
        right = (answers.argmax(axis=1) == labels).mean()
        # At a threshold one image may take either stage.
        assert row[f"accuracy_{when}"] == pytest.approx(right, abs=1.5 / 300)
    halves, crossed = np.array_split(np.random.default_rng(0).permutation(300), 2), []
    for half, other in (halves, halves[::-1]):
        fitted = _fitted([x[other] for x in stages], labels[other], 1.5)
        chosen, _ = _chosen([x[half] for x in stages], *fitted)
        crossed.append(-chosen[np.arange(150), labels[half]].mean())
    # At a threshold one image may take either stage.
    assert row["nll_after"] == pytest.approx(np.mean(crossed), abs=2e-3)
    new = read_model(output, "model").predict(X[100:], verbose=0)
    close = np.abs(new["probabilities"] - np.exp(predicted)).max(axis=1) < 1e-5
    assert close.sum() >= 299
    sets = PredictionSets(**found["prediction_sets"])
    assert sets.predict(new["probabilities"])[rows, labels].sum() >= np.ceil(301 * 0.8)


@pytest.mark.integration
def test_an_exported_cascade_is_calibrated_as_the_saved_one(place, tmp_path):
    folder, _, _ = place
    modes = [tiny_network(k) for k in range(3)]
    first = BridgeEnsemble(modes[0], []).calibrated(1.6, 0.7)
    cascade = CascadeEnsemble(first, modes[1:], 0.5, 1.3)
    cascade.save(tmp_path / "cascade.keras")
    export(cascade, tmp_path, "mine", X, sets=PredictionSets(0.8, 0.7, 300))
    flags = ["--average_cost=1.5", "--coverage=0.8"]
    wanted = calibrated(folder, tmp_path / "cascade.keras", *flags)
    for path in ("mine.tflite", "mine"):
        found = calibrated(folder, tmp_path / path, *flags)
        assert found["old_prediction_sets"]["coverage"] == 0.8
        for name in ("first", "second", "base", "cascade"):
            for key, value in wanted[name].items():
                # Which of two stages one image takes may be decided by rounding.
                assert found[name][key] == pytest.approx(value, rel=1e-3, abs=4e-3), key
        assert found["prediction_sets"]["quantile"] == pytest.approx(
            wanted["prediction_sets"]["quantile"], abs=1e-3
        )
    (tmp_path / "mine.early_exit.json").unlink()
    message = refused(
        *("calibrate", f"--model={tmp_path}/mine.tflite", f"--dataset=npz:{folder}/new.npz")
    )
    assert "has no early_exit.json that tells what its stages cost" in message


@pytest.mark.integration
def test_a_calibrated_export_is_the_next_version(place):
    folder, logs, _ = place
    flags = ["--export_dir=exports", "--export_name=mine", "--coverage=0.8"]
    found = calibrated(folder, "e.keras", *flags)
    assert found["written"] == ["exports/mine/2", "exports/mine.tflite"]
    temperature = found["ensemble"]["temperature"]
    wanted = softmax(np.log(np.exp(logs).mean(axis=1)) / temperature, axis=1)
    sets = PredictionSets(**found["prediction_sets"])
    for path in found["written"]:
        outputs = load_predictor(folder / path)(X[100:])
        np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)
        np.testing.assert_array_equal(
            outputs["prediction_set"], sets.predict(outputs["probabilities"])
        )
    written = json.loads((folder / "exports" / "mine.early_exit.json").read_text())
    assert written["threshold"] == found["early_exit"]["threshold"]
    for path in found["written"]:
        of_file = calibrated(folder, path)["early_exit"]
        for name, value in found["early_exit"].items():
            assert of_file[name] == pytest.approx(value, rel=1e-3)
    # Of the first version, the temperatures are no longer told.
    old = calibrated(folder, "exports/mine/1")["ensemble"]
    assert old["old_temperature"] is None and old["temperature"] is None
    assert old["factor"] == pytest.approx(temperature / OLD[0], rel=0.02)  # another prior
    assert calibrated(folder, "exports/mine/2")["ensemble"]["factor"] == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=e.keras"], "--dataset: missing; name labelled images"),
        (["--dataset=npz:new.npz"], "--model: missing"),
        (["--model=e.keras", "--dataset=npz:few.npz"], "19 images in --split=test; calibration"),
        (["--model=e.keras", "--dataset=npz:classes.npz"], "has 6 classes, --model 5"),
        (["--model=e.keras", "--dataset=npz:large.npz"], "8×16×1; --model takes 8×8×1: resize"),
        (["--model=e.keras", "--dataset=npz:colour.npz"], "8×8×1: save them as grey images"),
        (["--model=e.keras", "--dataset=npz:no.npz"], "--dataset=npz:no.npz"),
        (
            ["--model=e.keras", "--dataset=npz:new.npz", "--coverage=0.999"],
            "--coverage=0.999: needs 999 validation images, and there are 300",
        ),
        (
            ["--model=exports/mine.tflite", "--dataset=npz:new.npz", "--output=a.keras"],
            "--output: exports/mine.tflite holds constants",
        ),
        (["--model=e.keras", "--dataset=npz:new.npz", "--output=a.h5"], "must be a new file"),
        (["--model=e.keras", "--dataset=npz:new.npz", "--export_dir=x"], "--export_name: missing"),
        (
            ["--model=e.keras", "--dataset=npz:new.npz", "--export_name=x"],
            "--export_name: tells how an export is called; give --export_dir too",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(place, flags, message):
    folder = place[0]
    before = sorted(folder.rglob("*"))
    assert message in refused("calibrate", *flags, cwd=folder)
    assert sorted(folder.rglob("*")) == before
