"""Classifiers of two classes with one output unit, and multi-label ones, which are refused."""

import keras
import numpy as np
import pytest
from keras import layers

import bridge_tf
from bridge_tf import BridgeEnsemble, Curve, InputError, Recipe, evaluate
from bridge_tf.networks.classifier import gives_probabilities, logits_copy
from bridge_tf.utils.keras_utils import clone

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.uniform(0, 255, (32, 4, 4, 3)).astype("float32")
LABELS = np.arange(32) % 2
QUICK = Recipe(epochs=2, learning_rate=0.1, warmup_epochs=0, jit_compile=False)


@keras.saving.register_keras_serializable(package="tests.binary")
class Subclassed(keras.Model):
    def __init__(self, activation=None, units=1, opaque=False, **options):
        super().__init__(**options)
        self.settings = {"activation": activation, "units": units, "opaque": opaque}
        self.flat, self.head = layers.Flatten(), layers.Dense(units, activation=activation)

    def call(self, x, training=None):
        if self.settings["opaque"] and keras.utils.is_keras_tensor(x):
            raise TypeError("takes numbers only")
        return self.head(self.flat(x) / 255)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.settings["units"])

    def get_config(self):
        return {**super().get_config(), **self.settings}


def functional(end, policy="float32"):
    image = keras.Input((4, 4, 3), name="image")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    x = layers.Dense(5, "relu", name="tap", dtype=policy)(x)
    return keras.Model(image, end(x))


def sequential():
    head = layers.Dense(1, activation="sigmoid")
    return keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), head]
    )


def nested():
    image, features = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(features))
    backbone = keras.Model(features, layers.BatchNormalization(name="norm")(x), name="backbone")
    x = layers.GlobalAveragePooling2D()(backbone(image))
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(x))


def subclassed(**options):
    model = Subclassed(**options)
    model(IMAGES[:1])
    return model


def dense(x, activation="sigmoid"):
    return layers.Dense(1, activation=activation)(x)


PROBABILITIES = {
    "sigmoid": lambda: functional(dense),
    "Activation": lambda: functional(lambda x: layers.Activation("sigmoid")(dense(x, None))),
    "operation": lambda: functional(lambda x: keras.ops.sigmoid(dense(x, None))),
    "hard sigmoid": lambda: functional(lambda x: dense(x, "hard_sigmoid")),
    "mean": lambda: functional(lambda x: 0.5 * dense(x) + 0.5 * dense(x)),
    "reshaped": lambda: functional(lambda x: layers.Reshape((1,))(dense(x))),
    "sequential": sequential,
    "nested": nested,
    "subclassed": lambda: subclassed(activation="sigmoid"),
    "opaque": lambda: subclassed(activation="sigmoid", opaque=True),
}
LOGITS = {
    "logit": lambda: functional(lambda x: dense(x, None)),
    # For these weights both lie in [0, 1].
    "shifted": lambda: functional(lambda x: 0.01 * dense(x, None) + 0.5),
    "subclassed": lambda: subclassed(),
    "opaque": lambda: subclassed(opaque=True),
}


@pytest.mark.parametrize("build", PROBABILITIES.values(), ids=PROBABILITIES)
def test_a_probability_becomes_two(build):
    model = build()
    assert gives_probabilities(model)
    p = model.predict(IMAGES, verbose=0).astype("float64")
    two = keras.ops.softmax(logits_copy(model).predict(IMAGES, verbose=0))
    np.testing.assert_allclose(two, np.hstack([1 - p, p]), atol=2e-6)


@pytest.mark.parametrize("build", LOGITS.values(), ids=LOGITS)
def test_a_logit_becomes_two(build):
    model = build()
    assert not gives_probabilities(model)
    z = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(
        logits_copy(model).predict(IMAGES, verbose=0), np.hstack([-z / 2, z / 2])
    )


def test_confident_sigmoids_lose_nothing():
    model = functional(dense)
    model.layers[-1].set_weights([np.full((5, 1), 0.0), np.array([40.0])])
    log_probs = keras.ops.log_softmax(logits_copy(model).predict(IMAGES[:1], verbose=0))
    np.testing.assert_allclose(log_probs, [[-40, 0]], atol=1e-5)  # 1 - p is 0 in float32


def test_in_mixed_precision_the_sigmoid_is_of_the_exact_logit():
    model = functional(lambda x: layers.Dense(1, "sigmoid", dtype="mixed_bfloat16")(x))
    p = model.predict(IMAGES, verbose=0).astype("float32")
    two = keras.ops.softmax(logits_copy(model).predict(IMAGES, verbose=0))
    np.testing.assert_allclose(two[:, 1:], p, atol=2**-8)  # a bfloat16 has 8 bits


@pytest.mark.parametrize("build", [PROBABILITIES["sigmoid"], LOGITS["logit"]])
def test_the_nll_is_keras_binary_cross_entropy(build):
    model = build()
    loss = keras.losses.BinaryCrossentropy(from_logits=not gives_probabilities(model))
    wanted = float(loss(LABELS[:, None], model.predict(IMAGES, verbose=0)))
    for labels in (LABELS, LABELS[:, None], LABELS.astype("float32")):
        found = evaluate(model, (IMAGES, labels), (IMAGES, labels))
        assert found["nll"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("build", [PROBABILITIES["sigmoid"], LOGITS["logit"]])
def test_training_has_the_right_loss_and_accuracy(build):
    model = build()
    before = evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS))
    history = bridge_tf.fit_mode(model, (IMAGES, LABELS), QUICK, batch_size=32).history
    assert history["loss"][0] == pytest.approx(before["nll"], abs=1e-5)
    assert history["accuracy"][0] == pytest.approx(before["accuracy"])
    after = evaluate(model, (IMAGES, LABELS), (IMAGES, LABELS))
    assert after["nll"] < before["nll"]
    assert model.evaluate(IMAGES, LABELS, verbose=0) == pytest.approx(
        [after["nll"], after["accuracy"]], abs=1e-5
    )


@pytest.mark.integration
def test_from_modes_to_an_export(tmp_path):
    modes = [nested(), nested()]
    modes[0].save(tmp_path / "mode.keras")
    curve = Curve.between(*modes)
    bridge_tf.fit_curve(curve, (IMAGES, LABELS), QUICK, batch_size=16)
    for r, mode in enumerate(modes):
        for a, b in zip(curve.model_at(r).get_weights(), mode.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    member = curve.model_at(0.5, IMAGES)
    assert member.output_shape == (None, 1)
    bridge = bridge_tf.build_bridge(modes[0], "backbone/norm", warm_start=member)
    bridge_tf.fit_bridge(bridge, modes[0], member, IMAGES, QUICK, batch_size=16)
    ensemble = BridgeEnsemble(modes[0], [bridge])
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    outputs = loaded.predict(IMAGES, verbose=0)
    p = modes[0].predict(IMAGES, verbose=0)[:, 0]
    np.testing.assert_allclose(np.exp(outputs["log_probabilities"][:, 0, 1]), p, atol=1e-6)
    calibrated = bridge_tf.calibrate(ensemble, (IMAGES, LABELS))
    files = bridge_tf.export(calibrated, tmp_path / "exports", "mine", IMAGES, ["no", "yes"])
    from bridge_tf.export.predictor import load_predictor

    for path in (files.saved_model, files.tflite):
        predict = load_predictor(path, "base")
        found, logit = predict(IMAGES)["probabilities"], np.log(p) - np.log1p(-p)
        expected = 1 / (1 + np.exp(-logit / calibrated.base_temperature))
        np.testing.assert_allclose(found, np.stack([1 - expected, expected], 1), atol=1e-6)
        assert predict.labels == ("no", "yes")
    found = load_predictor(tmp_path / "mode.keras")(IMAGES)["probabilities"]
    np.testing.assert_allclose(found, np.stack([1 - p, p], 1), atol=1e-6)


MULTI_LABEL = {
    "sigmoid": lambda: functional(lambda x: layers.Dense(3, activation="sigmoid")(x)),
    "Activation": lambda: functional(lambda x: layers.Activation("sigmoid")(layers.Dense(3)(x))),
    "operation": lambda: functional(lambda x: keras.ops.sigmoid(layers.Dense(3)(x))),
    "subclassed": lambda: subclassed(activation="sigmoid", units=3),
}


@pytest.mark.parametrize("build", MULTI_LABEL.values(), ids=MULTI_LABEL)
def test_multi_label_classifiers_are_refused_before_any_training(build):
    model = build()
    before, data = model.get_weights(), (IMAGES, LABELS)
    uses = [
        lambda: bridge_tf.fit_mode(model, data, QUICK),
        lambda: bridge_tf.fit_modes(lambda: model, data, 2, QUICK),
        lambda: bridge_tf.fit_curve(Curve.between(model, clone(model)), data, QUICK),
        lambda: bridge_tf.build_bridge(model, "tap"),
        lambda: BridgeEnsemble(model, []),
        lambda: evaluate(model, data, data),
    ]
    for use in uses if not isinstance(model, Subclassed) else [*uses[:3], uses[5]]:
        with pytest.raises(InputError, match=r"ends in a sigmoid of 3 units.*multi-label") as error:
            use()
        assert "\n" not in str(error.value)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_curves_of_multi_label_classifiers_are_refused():
    model = MULTI_LABEL["sigmoid"]()
    with pytest.raises(InputError, match="sigmoid of 3 units"):
        Curve.between(model, clone(model))


def test_gates_within_a_network_are_no_end():
    model = functional(lambda x: layers.Dense(3)(layers.Dense(4, activation="sigmoid")(x)))
    assert logits_copy(model).output_shape == (None, 3)
