"""Exported networks of several outputs: BatchEnsemble, MIMO and MC dropout."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from scipy.special import softmax
from scipy.stats import entropy

from bridge_tf import export
from bridge_tf.ensembles.baselines import batch_ensemble, mc_dropout, mimo_members, with_members
from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.baselines.mimo import mimo_network
from bridge_tf.export import early_exit

pytestmark = pytest.mark.integration


def networks(tiny):
    """A network of several outputs of each kind."""
    yield "batch_ensemble", with_members(batch_ensemble(tiny(), 3), 3)
    yield "mc_dropout", with_members(mc_dropout(tiny(), 3), 3)
    yield "mimo", mimo_members(mimo_network("resnet8", (8, 8, 1), 5, width=0.25), 2)


def expected(network, images, temperature: float) -> dict[str, np.ndarray]:
    """The calibrated mean of the members, image by image."""
    rows = []
    for members in np.exp(network.predict(images, verbose=0)["log_probabilities"], dtype="float64"):
        mean = members.mean(axis=0)
        probabilities = softmax(np.log(mean) / temperature)
        between = entropy(mean) - np.mean([entropy(member) for member in members])
        rows.append((probabilities, entropy(probabilities), between))
    names = ("probabilities", "entropy", "disagreement")
    return {name: np.array(x) for name, x in zip(names, zip(*rows, strict=True), strict=True)}


def test_files_predict_the_calibrated_mean_and_have_no_base(tiny, images, tmp_path):
    for name, network in networks(tiny):
        wanted = expected(network, images, 1.4)
        artifacts = export(MembersEnsemble(network, 1.4), tmp_path, name, images)
        loaded = tf.saved_model.load(str(artifacts.saved_model))
        assert set(loaded.signatures) == {"serving_default", "serving_uint8"}
        interpreter = Interpreter(str(artifacts.tflite))
        assert list(interpreter.get_signature_list()) == ["serving_default"]
        for rows in (slice(None), slice(3, 4), slice(5, 12)):  # members don't depend on the batch
            found = loaded.signatures["serving_default"](image=tf.constant(images[rows]))
            again = interpreter.get_signature_runner("serving_default")(image=images[rows])
            for key, value in wanted.items():
                np.testing.assert_allclose(found[key], value[rows], atol=1e-6)
                np.testing.assert_allclose(again[key], value[rows], atol=1e-5)
        (file,) = json.loads((tmp_path / f"{name}.metadata.json").read_text())["files"]
        assert file["temperatures"] == {"ensemble": 1.4}
    with pytest.raises(ValueError, match="has no base that runs alone"):
        early_exit.EarlyExit(artifacts.tflite, threshold=0.5)


def test_a_saved_one_predicts_the_same(tiny, images, tmp_path):
    ensemble = MembersEnsemble(with_members(mc_dropout(tiny(), 2), 2)).calibrated(0.7)
    ensemble.save(tmp_path / "members.keras")
    loaded = keras.models.load_model(tmp_path / "members.keras")
    found = loaded.predict(images, verbose=0)
    for name, value in ensemble.predict(images, verbose=0).items():
        np.testing.assert_array_equal(found[name], value)
