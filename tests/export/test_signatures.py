import keras
import numpy as np
import pytest
import tensorflow as tf

from bridge_tf import BridgeEnsemble, build_bridge, export

pytestmark = pytest.mark.integration

# Exported names, and those of the Keras model.
OUTPUTS = {
    "probabilities": "probabilities",
    "entropy": "entropy",
    "disagreement": "mutual_information",
}


@pytest.mark.parametrize("conditioned", [False, True])
def test_taps_and_bridges_together_are_the_whole_ensemble(tiny, images, tmp_path, conditioned):
    from ai_edge_litert.interpreter import Interpreter

    base = tiny()
    base.get_layer("logits").kernel.assign(base.get_layer("logits").kernel * 1e4)  # probability 0
    taps = ["relu1", "relu0"]
    bridges = [build_bridge(base, tap, 1, conditioned=conditioned) for tap in taps]
    for bridge in bridges:
        for variable in bridge.trainable_variables:
            variable.assign_add(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    ensemble = BridgeEnsemble(base, bridges, positions=[0.2, 0.9] if conditioned else [])
    artifacts = export(ensemble, tmp_path, "model", images)

    interpreter = Interpreter(str(artifacts.tflite))
    first = interpreter.get_signature_runner("taps")(image=images)
    assert (first["probabilities"] == 0).any()
    signature = interpreter.get_signature_list()["bridges"]
    assert set(signature["inputs"]) == set(first) == {"feature_0", "feature_1", "probabilities"}
    expected = ensemble.predict(images, verbose=0)
    found = interpreter.get_signature_runner("bridges")(**first)
    served = tf.saved_model.load(str(artifacts.saved_model)).signatures
    again = served["bridges"](**served["taps"](image=tf.constant(images)))
    assert set(found) == set(again) == set(OUTPUTS)
    for name, key in OUTPUTS.items():
        np.testing.assert_allclose(found[name], expected[key], atol=1e-4)
        np.testing.assert_allclose(again[name], expected[key], atol=1e-4)


def test_ensembles_of_several_modes_have_no_early_answer(tiny, images, tmp_path):
    base, end = tiny(), tiny()
    bridge = build_bridge(base, "relu0", 1, bridge_type=2)
    artifacts = export(BridgeEnsemble(base, [bridge], [end]), tmp_path, "model", images)
    assert "bridges" not in tf.saved_model.load(str(artifacts.saved_model)).signatures


def test_a_saved_model_holds_each_weight_once(tiny, images, tmp_path):
    base = tiny()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 1)])
    path = export(ensemble, tmp_path, "model", images).saved_model
    shapes = tf.train.load_checkpoint(path / "variables" / "variables").get_variable_to_shape_map()
    saved = sum(int(np.prod(shape)) for name, shape in shapes.items() if name.endswith("VALUE"))
    assert saved == ensemble.count_params()

    # What Keras loads lists the weights that it computes with.
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
    assert len(layer.weights) == len(ensemble.weights)
    before = layer(images)["probabilities"].numpy()
    for weight in layer.weights:
        weight.assign(tf.zeros_like(weight))
    after = layer(images)["probabilities"].numpy()
    assert np.ptp(before, axis=1).max() > 1e-4 and np.ptp(after, axis=1).max() < 1e-6
