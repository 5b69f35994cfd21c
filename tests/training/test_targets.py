"""Labels, weights of classes and sample weights of trainings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bridge_tf import (
    Curve,
    InputError,
    Recipe,
    build_bridge,
    fit_bridge,
    fit_curve,
    fit_mode,
    fit_modes,
)
from bridge_tf.data.labels import balanced_weights
from bridge_tf.ensembles.baselines import MimoTraining, fit_student
from bridge_tf.training.targets import class_weights
from bridge_tf.utils.keras_utils import clone

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(12, 4)).astype("float32")
Y = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
W = GENERATOR.uniform(0, 2, 12).astype("float32")
ONE = Recipe(epochs=1, learning_rate=1e-4, warmup_epochs=0, weight_decay=0, jit_compile=False)
WEIGHTS = {0: 0.5, 2: 3.0}


def network(units=3) -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(units)(layers.Dense(3, "relu", name="tap")(x)))


def log_probs(model) -> np.ndarray:
    logits = model.predict(X, verbose=0)
    if logits.shape[1] == 1:
        logits = np.hstack([-logits / 2, logits / 2])
    return np.asarray(keras.ops.log_softmax(logits))


def first_loss(model, data, fit=fit_mode, **options) -> float:
    """The loss of the first step, on all rows."""
    return fit(model, data, ONE, batch_size=12, **options).history["loss"][0]


@pytest.mark.parametrize("units", [3, 1])
@pytest.mark.parametrize("batches", [False, True])
def test_losses_are_weighted_as_a_plain_loop_has_it(units, batches):
    model, labels = network(units), np.minimum(Y, max(units - 1, 1))
    losses = -log_probs(model)[np.arange(12), labels]
    of_classes = np.array([0.5, 1, 3])[labels] if units > 1 else np.array([0.5, 1])[labels]
    weights = WEIGHTS if units > 1 else {0: 0.5}

    def data(*arrays):
        return tf.data.Dataset.from_tensor_slices(arrays).batch(12) if batches else arrays

    found = first_loss(clone(model), data(X, labels, W))
    assert found == pytest.approx(np.mean(W * losses), rel=1e-5)
    found = first_loss(clone(model), data(X, labels), class_weight=weights)
    assert found == pytest.approx(np.mean(of_classes * losses), rel=1e-5)


def test_curves_are_weighted_as_modes_are():
    model = network()
    weights = np.array([0.5, 1, 3])[Y]
    wanted = np.mean(weights * -log_probs(model)[np.arange(12), Y])
    curve = Curve.between(model, clone(model))  # one network all along
    found = first_loss(curve, (X, Y), fit_curve, class_weight=WEIGHTS)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_balanced_weights_count_the_labels():
    model = network()
    of_rows = np.array([balanced_weights(Y)[label] for label in Y])
    wanted = np.mean(of_rows * -log_probs(model)[np.arange(12), Y])
    for fit in (fit_mode, fit_one_of_modes):
        found = first_loss(clone(model), (X, Y), fit, class_weight="balanced")
        assert found == pytest.approx(wanted, rel=1e-5)


def fit_one_of_modes(model, *given, **options):
    kept = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(logs))
    fit_modes(lambda: model, given[0], 1, *given[1:], callbacks=[callback], **options)
    history = keras.callbacks.History()
    history.history = {"loss": [kept[0]["loss"]]}
    return history


def test_accuracies_stay_unweighted():
    model = network()
    right = np.mean(log_probs(model).argmax(axis=1) == Y)
    history = fit_mode(model, (X, Y), ONE, batch_size=12, class_weight=WEIGHTS).history
    assert history["accuracy"] == [pytest.approx(right)]


def test_weights_go_with_the_labels_of_a_bridge():
    base, member = network(), network()
    bridge = build_bridge(base, "tap")
    features = keras.Model(base.input, base.get_layer("tap").output)
    found = np.asarray(keras.ops.log_softmax(bridge(features(X))))
    wanted = log_probs(member)
    kl = (np.exp(wanted) * (wanted - found)).sum(axis=1)
    mixed = GENERATOR.dirichlet([1, 1, 1], 12).astype("float32")
    options = {"label_share": 0.25, "batch_size": 12}

    def loss(data, **more):
        return fit_bridge(clone(bridge), base, member, data, ONE, **more).history["loss"][0]

    entropy = -(mixed * found * [0.5, 1, 3]).sum(axis=1)
    expected = np.mean(0.75 * kl + 0.25 * entropy)
    assert loss((X, mixed), class_weight=WEIGHTS, **options) == pytest.approx(expected, rel=1e-5)
    entropy = -found[np.arange(12), Y]
    expected = np.mean(W * (0.75 * kl + 0.25 * entropy))
    assert loss((X, Y[:, None], W), **options) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="class_weight needs a label_share"):
        loss((X, Y), class_weight=WEIGHTS, batch_size=12)


def test_baselines_take_sample_weights():
    student, teacher = network(), network()
    wanted, found = log_probs(teacher), log_probs(student)
    kl = (np.exp(wanted) * (wanted - found)).sum(axis=1)
    history = fit_student(clone(student), [teacher], (X, Y, W), ONE, batch_size=12).history
    assert history["loss"][0] == pytest.approx(np.mean(W * kl), rel=1e-5)

    orders = GENERATOR.permuted(np.tile(np.arange(12), (2, 1)), axis=1).T
    logits = GENERATOR.normal(size=(12, 2, 3)).astype("float32")
    model = MimoTraining(network(6), 2)
    losses = keras.losses.sparse_categorical_crossentropy(Y[orders], logits, from_logits=True)
    found = model.compute_loss(
        y=keras.ops.convert_to_tensor(Y),
        y_pred={"logits": keras.ops.convert_to_tensor(logits), "orders": orders},
        sample_weight=keras.ops.convert_to_tensor(W),
    )
    assert float(found) == pytest.approx(np.mean(np.sum(W[orders] * losses, axis=1)), rel=1e-5)


def batches(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(4)


@pytest.mark.parametrize(
    ("units", "data", "message"),
    [
        (1, (X, Y), "from 0 to 1, the numbers of the classes. Received: 2"),
        (1, batches(X, Y[::-1].copy()), "from 0 to 1, the numbers of the classes. Received: 2"),
        (3, (X, Y + 1), "from 0 to 2, the numbers of the classes. Received: 3"),
        (1, (X, np.eye(2)[Y // 2]), r"of one-hot labels give labels.argmax\(axis=-1\)"),
        (3, (X, np.eye(4)[Y]), "one column for each of 3 classes"),
        (3, (X, np.ones((12, 3))), "multi-label"),
        (3, batches(X, np.eye(4)[Y]), "one column for each of 3 classes"),
        (3, (X, Y, -W), "sample weights must be one finite number"),
        (3, (X, Y, W[:5]), "arrays must have one row for each image"),
    ],
)
def test_wrong_labels_and_weights_are_refused_before_training(units, data, message):
    model = network(units)
    before = model.get_weights()
    for fit in (fit_mode, lambda *given, **options: fit_curve(Curve(model), *given[1:], **options)):
        with pytest.raises(InputError, match=message):
            fit(model, data, ONE, batch_size=4)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_of_ones_own_may_take_other_labels():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model = network()
    wanted = -log_probs(model)[np.arange(12), Y].mean()
    found = first_loss(model, (X, np.eye(3)[Y].astype("float32")), loss=loss)
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("weight", "data", "message"),
    [
        ("balanced", batches(X, Y), "counts the labels of arrays"),
        ("equal", (X, Y), "must be balanced or a dict"),
        ({3: 1.0}, (X, Y), "of the classes 0 to 2"),
        ({1: -1.0}, (X, Y), "finite weights ≥ 0"),
        ({1: float("nan")}, (X, Y), "finite weights ≥ 0"),
        ({1: 2.0}, (X, Y, W), "the data have sample weights"),
        ({1: 2.0}, batches(X, Y, W), "the data have sample weights"),
    ],
)
def test_wrong_weights_of_classes_are_refused(weight, data, message):
    with pytest.raises(InputError, match=message):
        fit_mode(network(), data, ONE, class_weight=weight)


def test_classes_without_a_weight_have_one():
    assert class_weights({1: 2}, (X, Y), 3) == {0: 1.0, 1: 2.0, 2: 1.0}
    assert class_weights(None, (X, Y), 3) is None


def test_a_model_is_built_before_its_end_is_looked_at():
    model = keras.Sequential([layers.Dense(3), layers.Dense(1, activation="sigmoid")])
    history = fit_mode(model, (X, np.minimum(Y, 1)), ONE, batch_size=12).history
    assert model.output_shape == (None, 1) and model.loss.name == "binary_crossentropy"
    assert 0 < history["loss"][0] < 5
