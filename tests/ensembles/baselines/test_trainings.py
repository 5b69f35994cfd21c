import keras
import numpy as np
import pytest
from keras import ops

from bridge_tf import Recipe, build_bridge, build_network, fit_mode
from bridge_tf.ensembles.baselines import (
    CyclicRecipe,
    MimoTraining,
    StudentTraining,
    SwaRecipe,
    fit_mimo,
    fit_student,
    fit_swa,
    mimo_members,
    with_bridges,
)
from bridge_tf.ensembles.baselines.cyclic import cycle_epochs
from bridge_tf.utils.keras_utils import clone

TAP = "stage2_block1"
PLAIN = {"warmup_epochs": 0, "jit_compile": False}


class Recorder(keras.callbacks.Callback):
    """Keeps the trained weights after every step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([ops.convert_to_numpy(w) for w in self.model.trainable_variables])


@pytest.mark.integration
def test_swa_is_the_mean_of_the_weights_of_the_last_quarter(build, images, labels):
    network, recorder = build("batch"), Recorder()
    # 16 steps; the last 4, of which fewer than ten can be had: after every one of them.
    recipe = SwaRecipe(epochs=4, learning_rate=0.05, **PLAIN)
    fit_swa(network, (images[:16], labels[:16]), recipe, images, batch_size=4, callbacks=[recorder])
    assert len(recorder.weights) == 16
    for k, variable in enumerate(network.trainable_variables):
        wanted = np.mean([weights[k] for weights in recorder.weights[12:]], axis=0)
        np.testing.assert_allclose(ops.convert_to_numpy(variable), wanted, atol=1e-6)


def test_swa_averages_at_the_end_of_each_epoch_of_a_long_training():
    optimizer = SwaRecipe(epochs=200).optimizer(steps_per_epoch=30)
    assert (optimizer.start, optimizer.every) == (4500, 30)
    short = SwaRecipe(epochs=8).optimizer(steps_per_epoch=30)
    assert (short.start, short.every) == (180, 6)


def test_rates_of_swa_end_in_half_the_peak():
    rate = SwaRecipe(epochs=100, learning_rate=0.2, warmup_epochs=5).optimizer(10).learning_rate
    optimizer = SwaRecipe(epochs=100, learning_rate=0.2, warmup_epochs=5).optimizer(10)
    assert float(rate) == pytest.approx(0.002)
    for step, wanted in ((50, 0.2), (750, 0.1), (999, 0.1)):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(wanted, rel=1e-5)


def test_a_cycle_rises_and_falls():
    optimizer = CyclicRecipe(epochs=2, learning_rate=0.2).optimizer(steps_per_epoch=10)
    for step, wanted in ((0, 0.001), (5, 0.0505), (10, 0.1), (15, 0.0505), (20, 0.001)):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(wanted, rel=1e-5)
    assert [cycle_epochs(n) for n in (1, 7, 60, 200)] == [1, 1, 2, 4]


def test_a_student_minimises_the_divergence_from_the_teachers_mean(build, images, labels):
    student, teachers = build("batch"), [build(), build()]
    model = StudentTraining(student, teachers)
    outputs = model(images)

    def softmax(network):
        logits = ops.convert_to_numpy(network(images)).astype("float64")
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    wanted = np.mean([softmax(teacher) for teacher in teachers], axis=0)
    kl = (wanted * (np.log(wanted) - np.log(softmax(student)))).sum(axis=1).mean()
    assert float(model.compute_loss(y_pred=outputs)) == pytest.approx(kl, rel=1e-4)
    labelled = StudentTraining(student, teachers, label_share=0.25)
    entropy = -np.log(softmax(student)[np.arange(24), labels]).mean()
    loss = float(labelled.compute_loss(y=labels, y_pred=outputs))
    assert loss == pytest.approx(0.75 * kl + 0.25 * entropy, rel=1e-4)


def test_bridges_behind_a_student_learn_a_mode_each(build, images):
    student, teachers = build(), [build(), build(), build()]
    bridges = [
        build_bridge(student, TAP, 0.5, residual=residual, name=f"bridge{residual:d}")
        for residual in (True, False)
    ]
    model = StudentTraining(with_bridges(student, bridges), teachers)

    def log_probs(logits):
        logits = ops.convert_to_numpy(logits).astype("float64")
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    features = keras.Model(student.input, student.get_layer(TAP).output)(images)
    answers = [bridges[0]([features, student(images)]), bridges[1](features)]
    modes = [log_probs(teacher(images)) for teacher in teachers]
    pairs = [(np.log(np.mean(np.exp(modes), axis=0)), log_probs(student(images)))]
    pairs += zip(modes[1:], map(log_probs, answers), strict=True)
    wanted = sum((np.exp(p) * (p - q)).sum(axis=1).mean() for p, q in pairs)
    assert float(model.compute_loss(y_pred=model(images))) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.integration
def test_bridges_move_the_student_that_they_read(build, images):
    """Up to the tap; behind it, one step is the same."""
    before, teachers, moved = build(), [build(), build()], []
    for count in (0, 1):
        student = clone(before)
        bridges = [build_bridge(student, TAP, name=f"bridge{k}") for k in range(count)]
        trained = with_bridges(student, bridges)
        fit_student(trained, teachers, images, Recipe(epochs=1, **PLAIN), batch_size=24)
        moved.append({w.path: ops.convert_to_numpy(w) for w in student.trainable_weights})
    alone, together = moved
    layers = [layer.name for layer in student.layers]
    behind = layers[layers.index(TAP) + 1 :]
    for path, values in together.items():
        same = np.allclose(values, alone[path], atol=1e-7)
        assert same == any(f"/{name}/" in f"/{path}" for name in behind), path


@pytest.mark.integration
def test_a_student_learns_and_teachers_stay(build, images):
    student, teachers = build(), [build(), build()]
    before = [ops.convert_to_numpy(w) for w in teachers[0].weights]
    history = fit_student(student, teachers, images, Recipe(epochs=8, **PLAIN), batch_size=8)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    for weight, value in zip(teachers[0].weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.fixture
def mimo():
    return build_network("resnet8", (8, 8, 2), 10, width=0.25)


def test_mimo_pairs_each_label_with_its_image(mimo, images):
    model = MimoTraining(mimo, 2, repetition=0.0)
    outputs = model(images, training=True)
    orders = ops.convert_to_numpy(outputs["orders"])
    np.testing.assert_array_equal(orders[:, 0], np.arange(24))
    np.testing.assert_array_equal(np.sort(orders[:, 1]), np.arange(24))
    assert np.any(orders[:, 1] != np.arange(24))
    both = np.concatenate([images, images[orders[:, 1]]], axis=-1)
    wanted = ops.convert_to_numpy(mimo(both)).reshape(24, 2, 5)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs["logits"]), wanted, atol=1e-5)


def test_mimos_loss_is_the_sum_of_the_members_cross_entropies(mimo, images, labels):
    model = MimoTraining(mimo, 2, repetition=0.0)
    outputs = model(images, training=True)
    logits, orders = (ops.convert_to_numpy(outputs[name]) for name in ("logits", "orders"))
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = -sum(log_probs[i, k, labels[orders[i, k]]] for i in range(24) for k in range(2)) / 24
    assert float(model.compute_loss(y=labels, y_pred=outputs)) == pytest.approx(wanted, rel=1e-5)


def test_mimo_with_repetition_shows_one_image_to_all_members(mimo, images):
    orders = ops.convert_to_numpy(
        MimoTraining(mimo, 2, repetition=1.0)(images, training=True)["orders"]
    )
    np.testing.assert_array_equal(orders[:, 1], np.arange(24))


@pytest.mark.integration
def test_mimo_learns_and_answers_with_all_its_members(mimo, images, labels):
    history = fit_mimo(mimo, 2, (images, labels), Recipe(epochs=6, **PLAIN), batch_size=8)
    assert history.history["loss"][-1] < history.history["loss"][0]
    outputs = mimo_members(mimo, 2).predict(images, verbose=0)
    assert outputs["log_probabilities"].shape == (24, 2, 5)
    wanted = mimo.predict(np.concatenate([images] * 2, axis=-1), verbose=0).reshape(24, 2, 5)
    wanted -= np.log(np.exp(wanted).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(outputs["log_probabilities"], wanted, atol=1e-5)


@pytest.mark.integration
def test_cycles_are_trained_by_fit_mode(build, images, labels):
    network = build()
    history = fit_mode(network, (images, labels), CyclicRecipe(epochs=2, **PLAIN), batch_size=8)
    assert np.isfinite(history.history["loss"]).all()
