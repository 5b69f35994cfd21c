import json

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, ParityError, build_bridge, export
from bridge_tf.config.fields import QUANTIZED
from bridge_tf.evaluation import fit_prediction_sets
from bridge_tf.evaluation.conformal import PredictionSets, set_scores
from bridge_tf.export import load_predictor
from bridge_tf.export import signatures as module
from bridge_tf.export.prediction_sets import in_set, sets_inside
from tests.tiny import tiny_network

# Sets of one class and of two, by a penalty from the second rank on.
SETS = PredictionSets(0.9, 0.7, 200, k_reg=1, penalty=0.05)


@pytest.fixture(scope="module")
def ensemble():
    base = tiny_network(0)
    return BridgeEnsemble(base, [build_bridge(base, "relu0", 1)], temperature=0.3)


@pytest.fixture(scope="module")
def exported(ensemble, images, tmp_path_factory):
    return export(ensemble, tmp_path_factory.mktemp("exported"), "model", images, sets=SETS)


def _check(outputs, wanted_type=bool):
    found = np.asarray(outputs["prediction_set"])
    probabilities = np.asarray(outputs["probabilities"])
    assert found.dtype == wanted_type and found.shape == probabilities.shape
    np.testing.assert_array_equal(found, SETS.predict(probabilities))
    assert found[np.arange(len(found)), probabilities.argmax(axis=1)].all()
    return found


@pytest.mark.integration
def test_files_have_the_sets_of_their_probabilities(exported, images):
    pixels = np.round(images)
    found = _check(load_predictor(exported.saved_model)(pixels))
    assert len(set(found.sum(axis=1))) > 1  # sets of several sizes
    loaded = tf.saved_model.load(str(exported.saved_model)).signatures
    _check(loaded["serving_uint8"](image=tf.constant(pixels, tf.uint8)))
    taps = loaded["taps"](image=tf.constant(pixels))
    assert "prediction_set" not in taps
    names = loaded["bridges"].structured_input_signature[1]
    bridges = loaded["bridges"](**{name: taps[name] for name in names})
    np.testing.assert_array_equal(_check(bridges), found)
    for size in (1, 24):
        of_file = _check(load_predictor(exported.tflite)(pixels[:size]))
        np.testing.assert_array_equal(of_file, found[:size])


@pytest.mark.integration
def test_quantized_files_have_the_sets_of_their_own_probabilities(ensemble, images, tmp_path):
    kinds = {"tflite": QUANTIZED, "calibration": images, "tflite_io": "uint8"}
    sizes = set()
    exported = export(ensemble, tmp_path, "model", images, sets=SETS, **kinds)
    for kind in QUANTIZED:
        path = exported.tflite.with_name(f"model.{kind}.tflite")
        sizes |= {*_check(load_predictor(path)(np.round(images))).sum(axis=1)}
        assert sets_inside(path) == SETS
    assert len(sizes) > 1


def test_files_have_builtin_operations_only(exported):
    interpreter = Interpreter(str(exported.tflite))
    interpreter.allocate_tensors()
    operations = {details["op_name"] for details in interpreter._get_ops_details()}
    assert {"TOPK_V2", "CUMSUM"} <= operations
    assert not any(name.startswith("Flex") or name == "CUSTOM" for name in operations)


def test_the_rule_is_in_the_metadata(exported):
    assert sets_inside(exported.tflite) == SETS
    assert sets_inside(exported.tflite.with_name("other.tflite")) is None
    metadata = json.loads(exported.tflite.with_name("model.metadata.json").read_text())
    outputs = metadata["files"][0]["signatures"]["serving_default"]["outputs"]
    assert outputs["prediction_set"]["type"] == "bool"
    assert outputs["prediction_set"]["shape"] == [-1, 5]


@pytest.mark.parametrize("classes", [2, 7, 300])
def test_the_graph_has_the_rule_of_numpy(classes):
    generator = np.random.default_rng(classes)
    probabilities = generator.dirichlet(np.full(classes, 0.3), 200).astype("float32")
    probabilities[:50] = np.round(probabilities[:50], 2)  # many equal ones, and zeros
    probabilities[0] = 1 / classes
    for quantile in (0.0, 0.5, 0.9, 1.0, 9.0):
        sets = PredictionSets(0.9, quantile, 100)
        far = np.abs(set_scores(probabilities) - quantile) > 1e-6
        wanted, found = sets.predict(probabilities), in_set(tf.constant(probabilities), sets)
        assert ((wanted == found.numpy()) | ~far).all()
        assert found.numpy().any(axis=1).all()
        assert found.numpy()[0].all()
    assert found.numpy().all()


@pytest.mark.integration
def test_sets_that_differ_from_the_rule_are_no_export(ensemble, images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "in_set", lambda p, sets: p < tf.reduce_max(p))
    message = "saved_model: prediction_set differs from the rule of `sets` on 24 of 24 inputs"
    with pytest.raises(ParityError, match=message):
        export(ensemble, tmp_path, "model", images, sets=SETS)
    assert not (tmp_path / "model").exists()


def test_sets_are_fitted_to_calibrated_probabilities(ensemble, images, labels):
    sets = fit_prediction_sets(ensemble, (images, labels), 0.8)
    probabilities = ensemble.predict(images, verbose=0)["probabilities"]
    scores = set_scores(probabilities)[np.arange(24), labels]
    # Of 24 scores the 20th; in float32, then rounded up to six digits.
    assert sets.quantile == pytest.approx(np.sort(scores)[19], abs=2e-6)
    assert (sets.coverage, sets.images) == (0.8, 24)
    covered = sets.predict(probabilities)[np.arange(24), labels]
    assert covered.sum() >= 20
