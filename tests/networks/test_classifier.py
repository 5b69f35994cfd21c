"""Logits or probabilities, found by the last layer or by values; models that can't be copied."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bridge_tf import BridgeEnsemble, InputError, Recipe, evaluate, fit_mode
from bridge_tf.networks.classifier import gives_probabilities, logits_copy

IMAGES = np.random.default_rng(0).uniform(0, 255, (40, 4, 4, 3)).astype("float32")
LABELS = np.arange(40) % 3


@keras.saving.register_keras_serializable(package="tests.classifier")
def own_softmax(x):
    return keras.ops.softmax(x)


@keras.saving.register_keras_serializable(package="tests.classifier")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.flat, self.logits = layers.Flatten(), layers.Dense(3)

    def call(self, x):
        return keras.ops.softmax(self.logits(self.flat(x)) / 100)


class WithoutConfig(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)


def classifier(end) -> keras.Model:
    image = keras.Input((4, 4, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, end(x))


def softmax(x):
    return layers.Dense(3, activation="softmax")(x)


ENDS = {
    "tf.nn.softmax": lambda x: layers.Dense(3, activation=tf.nn.softmax)(x),
    "a function of one's own": lambda x: layers.Dense(3, activation=own_softmax)(x),
    "an average": lambda x: layers.Average()([softmax(x), softmax(x)]),
    "a weighted sum": lambda x: 0.25 * softmax(x) + 0.75 * softmax(x),
    "normalized": lambda x: keras.ops.normalize(layers.Dense(3, "sigmoid")(x), order=1),
    "a model": lambda x: keras.Sequential([layers.Dense(4, "relu"), layers.Dense(3, "softmax")])(x),
}


@pytest.mark.parametrize("end", ENDS)
def test_probabilities_are_never_softmaxed_again(end):
    model = classifier(ENDS[end])
    assert gives_probabilities(model)
    expected = model.predict(IMAGES, verbose=0)
    outputs = BridgeEnsemble(model, []).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    wanted = keras.losses.sparse_categorical_crossentropy(LABELS, expected)
    found = evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS))["nll"]
    assert found == pytest.approx(float(np.mean(wanted)), abs=1e-5)


def test_a_subclassed_model_is_measured_by_its_values():
    model = Subclassed()
    expected = model.predict(IMAGES, verbose=0)
    assert gives_probabilities(model)
    found = keras.ops.softmax(logits_copy(model).predict(IMAGES, verbose=0))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    before = evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS))["nll"]
    history = fit_mode(
        model,
        (IMAGES, LABELS),
        Recipe(epochs=2, warmup_epochs=0, jit_compile=False),
        batch_size=40,
    )
    # The first loss is of the untrained model, by the right kind of output.
    assert history.history["loss"][0] == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: layers.Dense(3)(x),
        lambda x: layers.Dense(3, activation="relu")(x),
        lambda x: layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)]),
        lambda x: layers.UnitNormalization()(layers.Dense(3, activation="relu")(x)),
    ],
)
def test_logits_stay_logits(end):
    assert not gives_probabilities(classifier(end))


def test_a_sigmoid_is_refused_wherever_probabilities_are_needed():
    model = classifier(lambda x: layers.Dense(3, activation=tf.nn.sigmoid)(x))
    with pytest.raises(InputError, match="ends in a sigmoid"):
        evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS))
    with pytest.raises(InputError, match="ends in a sigmoid"):
        BridgeEnsemble(model, [])


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda x: layers.Dense(3)(WithoutConfig(4)(x)), "WithoutConfig isn't made again"),
        (ENDS["tf.nn.softmax"], "its activation softmax_v2 isn't made again"),
    ],
)
def test_what_cannot_be_copied_is_refused_before_training(end, message):
    model = classifier(end)
    before = model.get_weights()
    with pytest.raises(InputError, match=f"can't be copied.*{message}.*register_keras_serializ"):
        fit_mode(model, (IMAGES, LABELS), Recipe(epochs=1, jit_compile=False), batch_size=20)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
