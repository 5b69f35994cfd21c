import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from bridge_tf import BridgeEnsemble, InputError, Split, build_bridge, calibrate, evaluate
from bridge_tf.evaluation.scores import log_prob_predictor


@pytest.mark.integration
def test_every_image_counts_once_whatever_the_batch(build, images):
    network = build("batch")
    expected = log_softmax(network(images).numpy().astype("float64"), axis=1)
    for batch_size in (1, 7, 24, 500):
        found = log_prob_predictor(network, batch_size)(images)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_softmax_is_undone_before_the_logarithm(images):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    # Logits this far apart leave probabilities that float32 rounds to 0.
    logits = keras.layers.Dense(5, kernel_initializer="ones", name="logits")(x)
    scale = np.array([0.0, -1.0, -2.0, -3.0, -4.0], "float32")
    network = keras.Model(inputs, keras.layers.Softmax()(logits * scale))
    found = log_prob_predictor(network)(images)
    expected = log_softmax(images.reshape(24, 64).sum(1, keepdims=True) * scale, axis=1)
    assert expected.min() < -1000
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_members_of_an_ensemble_come_one_by_one(build, images):
    base = build()
    bridge = build_bridge(base, "stage2_block1", 0.5)
    found = log_prob_predictor(BridgeEnsemble(base, [bridge]))(images)
    assert found.shape == (2, 24, 5)
    np.testing.assert_allclose(found[0], log_prob_predictor(base)(images), atol=1e-5)


def test_evaluate_against_scikit_learn(build, images, labels):
    base = build()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "stage2_block1", 0.5)])
    labels[:5] = np.arange(5)
    figures = evaluate(ensemble, (images, labels), (images, labels))
    probabilities = ensemble.predict(images, verbose=0)["probabilities"].astype("float64")
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert figures["accuracy"] == accuracy_score(labels, probabilities.argmax(1))
    assert figures["nll"] == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    tempered = probabilities ** (1 / figures["temperature"])
    tempered /= tempered.sum(axis=1, keepdims=True)
    assert figures["calibrated_nll"] == pytest.approx(log_loss(labels, tempered), rel=1e-5)
    assert figures["calibrated_nll"] < figures["nll"]


def test_batches_give_the_figures_of_arrays(tiny, images, labels):
    ensemble = BridgeEnsemble(base := tiny(), [build_bridge(base, "relu0", 0.5)])
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(7)
    arrays = evaluate(ensemble, (images, labels), (images, labels))
    # Labels belong to their images although each pass has another order.
    shuffled = batches.unbatch().shuffle(24).batch(7)
    for data in (batches, shuffled, Split(images, labels), (images, np.eye(5)[labels])):
        assert evaluate(ensemble, data, data) == pytest.approx(arrays, rel=1e-6)
    calibrated, other = (calibrate(ensemble, data) for data in ((images, labels), shuffled))
    assert other.temperature == pytest.approx(calibrated.temperature, rel=1e-5)
    assert other.base_temperature == pytest.approx(calibrated.base_temperature, rel=1e-5)


def test_data_that_give_no_figures_are_refused(tiny, images, labels):
    good = (images, labels)
    batches = tf.data.Dataset.from_tensor_slices(good).batch(7)
    for data, message in (
        (batches.repeat(), "`NAME`: never ends"),
        (images, "`NAME`: needs labels"),
        ((images, labels + 1), "NAME labels must be whole numbers from 0 to 4, .*Received: 5"),
    ):
        with pytest.raises(InputError, match=f"^{message.replace('NAME', 'test')}"):
            evaluate(tiny(), data, good)
        with pytest.raises(InputError, match=f"^{message.replace('NAME', 'validation')}"):
            evaluate(tiny(), good, data)


def test_softmaxes_of_all_kinds_are_undone(images):
    x = keras.layers.Flatten()(inputs := keras.Input((8, 8, 1)))
    dense = keras.layers.Dense(5, kernel_initializer=keras.initializers.RandomNormal(0, 1e-3))
    logits = dense(x)
    expected = log_prob_predictor(keras.Model(inputs, logits))(images)
    nested = keras.Sequential([keras.layers.Dense(5, activation="softmax")])
    models = [keras.Model(inputs, nested(x))]
    nested.layers[0].set_weights(dense.get_weights())
    softmaxes = (keras.layers.Softmax(), keras.layers.Activation("softmax"), keras.ops.softmax)
    models += [keras.Model(inputs, layer(logits)) for layer in softmaxes]
    for model in models:
        np.testing.assert_allclose(model(images), np.exp(expected), atol=1e-5)
        np.testing.assert_allclose(log_prob_predictor(model)(images), expected, atol=1e-5)
