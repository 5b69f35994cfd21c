"""Arguments of `keras.Model.fit`, taken by `fit_mode`, `fit_curve` and `fit_bridge`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
from bridge_tf.utils.keras_utils import clone

RECIPE = Recipe(epochs=2, learning_rate=0.01, warmup_epochs=0, jit_compile=False)


@pytest.fixture
def data(images, labels):
    return images, labels


def test_validation_data_are_measured_after_each_epoch(tiny, data):
    network = tiny()
    history = fit_mode(network, data, RECIPE, batch_size=8, validation_data=data)
    assert sorted(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    loss, accuracy = network.evaluate(*data, verbose=0)
    assert history.history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert history.history["val_accuracy"][-1] == pytest.approx(accuracy)


@pytest.mark.integration
def test_a_curve_with_batch_norm_says_that_its_validation_is_approximate(tiny, data, caplog):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    for batch_norm, warnings in ((False, 0), (True, 1)):
        curve = Curve.between(tiny(batch_norm=batch_norm), tiny(batch_norm=batch_norm))
        caplog.clear()
        history = fit_curve(curve, data, RECIPE, batch_size=8, validation_data=batches)
        assert len(history.history["val_loss"]) == 2
        assert len(caplog.messages) == warnings


def test_a_bridge_is_validated_and_stopped_early(tiny, images):
    base, member = tiny(), tiny()
    bridge = build_bridge(base, "relu0", 0.5)
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=100, restore_best_weights=True)
    recipe = Recipe(epochs=9, learning_rate=0.01, jit_compile=False)
    history = fit_bridge(
        bridge, base, member, images, recipe, batch_size=8, validation_data=images, callbacks=stop
    )
    assert history.epoch == [0, 1]
    assert sorted(history.history) == ["agreement", "loss", "val_agreement", "val_loss"]
    for name in ("loss", "metrics"):
        with pytest.raises(InputError, match=f"^`{name}`: a bridge is trained on its KL"):
            fit_bridge(bridge, base, member, images, recipe, **{name: "mse"})
    saver = keras.callbacks.ModelCheckpoint("bridge.keras")
    with pytest.raises(InputError, match=r"^`callbacks`: ModelCheckpoint can't save the training"):
        fit_bridge(bridge, base, member, images, recipe, callbacks=[saver])


@pytest.mark.integration
def test_a_callback_that_stops_a_resumed_training_stops_it(tiny, data, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    network, recipe = tiny(), Recipe(epochs=5, learning_rate=0.01, jit_compile=False)
    options = {"batch_size": 8, "checkpoint_dir": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit_mode(network, data, recipe, callbacks=[Interrupt()], **options)
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(network, "stop_training", True)
    )
    assert fit_mode(network, data, recipe, callbacks=stop, **options).epoch == [1]


@pytest.mark.integration
def test_each_mode_has_an_optimizer_of_its_own(tiny, data):
    given = keras.optimizers.Adam(0.01)
    first, second = fit_modes(tiny, data, 2, RECIPE, batch_size=8, optimizer=given)
    assert int(given.iterations) == 0
    for mode in (first, second):
        assert type(mode.optimizer) is keras.optimizers.Adam
        assert float(mode.optimizer.learning_rate) == pytest.approx(0.01)
    assert first.optimizer is not second.optimizer


def test_an_own_optimizer_takes_keras_s_steps(tiny, data):
    """One epoch of one batch, whose order is always the same."""
    network = tiny(batch_norm=False)
    other = clone(network)
    other.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    other.fit(*data, batch_size=24, epochs=2, verbose=0)
    fit_mode(network, data, RECIPE, batch_size=24, optimizer="adam")
    for a, b in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.integration
def test_a_training_resumes_with_its_own_optimizer_only(tiny, data, tmp_path):
    network = tiny()
    options = {"batch_size": 8, "checkpoint_dir": tmp_path}
    fit_mode(network, data, RECIPE, optimizer="adam", **options)
    assert fit_mode(network, data, RECIPE, optimizer="adam", **options).epoch == []
    assert fit_mode(network, data, RECIPE, optimizer="rmsprop", **options).epoch == [0, 1]
    assert fit_mode(network, data, RECIPE, **options).epoch == [0, 1]


def test_a_plateau_lowers_the_rate_of_an_own_optimizer(tiny, data):
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=100)
    recipe = Recipe(epochs=3, jit_compile=False)
    optimizer = keras.optimizers.SGD(0.01)
    history = fit_mode(tiny(), data, recipe, batch_size=8, optimizer=optimizer, callbacks=[plateau])
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005])


@pytest.mark.integration
def test_one_hot_labels_train_as_integers_do(tiny, images, labels):
    one_hot = np.eye(5, dtype="float32")[labels]
    batches = tf.data.Dataset.from_tensor_slices((images, one_hot)).batch(24)
    network, losses = tiny(), []
    for data in ((images, labels), (images, one_hot), batches):
        history = fit_mode(clone(network), data, RECIPE, batch_size=24)
        losses.append(history.history["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.integration
def test_data_of_unknown_length_need_steps(tiny, data):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    unknown = batches.filter(lambda x, y: tf.size(y) > 0)
    steps = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(1))
    for endless in (unknown, batches.repeat(), (pair for pair in batches.repeat(3))):
        steps.clear()
        fit_mode(tiny(), endless, RECIPE, steps_per_epoch=4, callbacks=count)
        assert len(steps) == 8
    with pytest.raises(InputError, match=r"^`steps_per_epoch`: is needed"):
        fit_mode(tiny(), unknown, RECIPE)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_generator_that_ends_early_is_an_error(tiny, data):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    with pytest.raises(InputError, match=r"^`data`: ran out after 1 of the 2 steps of epoch 2"):
        fit_mode(tiny(), (pair for pair in batches), RECIPE, steps_per_epoch=2)


def test_keras_shows_its_progress_if_asked(tiny, data, capsys):
    network = tiny()
    for verbose, shown in ((0, False), (2, True)):
        fit_mode(network, data, RECIPE, batch_size=24, verbose=verbose)
        assert ("Epoch 1/2" in capsys.readouterr().out) == shown
