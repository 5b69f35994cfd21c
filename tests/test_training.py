import keras
import numpy as np
import pytest

from bridge_tf import Recipe, TrainingError, fit_mode, fit_modes
from bridge_tf.training import L2SGD

QUICK = Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0, jit_compile=False)


def test_schedule_warms_up_linearly_and_decays_as_a_cosine():
    schedule = Recipe(epochs=20, learning_rate=0.4, warmup_epochs=5).optimizer(10)._learning_rate
    assert float(schedule(0)) == pytest.approx(0.004)
    assert float(schedule(25)) == pytest.approx((0.004 + 0.4) / 2)
    assert float(schedule(50)) == pytest.approx(0.4)
    assert float(schedule(125)) == pytest.approx(0.2, rel=1e-5)
    assert float(schedule(200)) == pytest.approx(0.0, abs=1e-7)


def test_without_warmup_training_starts_at_the_peak():
    schedule = Recipe(epochs=4, learning_rate=0.4, warmup_epochs=0).optimizer(10)._learning_rate
    assert float(schedule(0)) == pytest.approx(0.4)


@pytest.mark.parametrize("nesterov", [False, True])
def test_l2_is_in_the_gradient_before_the_momentum(nesterov):
    optimizer = L2SGD(0.1, momentum=0.9, nesterov=nesterov, l2=0.5)
    weight = keras.Variable(np.array([1.0, -2.0]), dtype="float32")
    expected, velocity = np.array([1.0, -2.0]), np.zeros(2)
    for gradient in (np.array([0.3, 0.1]), np.array([-0.2, 0.4])):
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [weight])
        full = gradient + 0.5 * expected
        velocity = 0.9 * velocity - 0.1 * full
        expected = expected + (0.9 * velocity - 0.1 * full if nesterov else velocity)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)


def test_modes_differ_by_seed_and_repeat_with_it(build, images, labels):
    from bridge_tf import build_network

    def fresh():
        return build_network("resnet8", (8, 8, 1), 5, width=0.25)

    first, second = fit_modes(fresh, (images, labels), 2, QUICK, batch_size=8)
    again = fit_modes(fresh, (images, labels), 1, QUICK, batch_size=8)[0]
    assert np.abs(first.get_weights()[0] - second.get_weights()[0]).max() > 0.01
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_classifier_that_ends_in_softmax_trains_on_the_same_loss(images, labels):
    def model(activation):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        return keras.Sequential(
            [keras.Input((8, 8, 1)), *layers, keras.layers.Dense(5, activation=activation)]
        )

    losses = [
        fit_mode(model(activation), (images, labels), QUICK, batch_size=8).history["loss"]
        for activation in ("linear", "softmax")
    ]
    # Keras clips probabilities at 1e-7, which these don't come near.
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.3)


def test_a_bad_loss_stops_the_training(build, images, labels):
    recipe = Recipe(epochs=3, learning_rate=1e20, warmup_epochs=0, jit_compile=False)
    with pytest.raises(TrainingError, match=r"epoch 1 is (nan|inf).*--learning_rate"):
        fit_mode(build(), (images, labels), recipe, batch_size=8)


def test_an_interrupted_training_goes_on(build, images, labels, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    recipe = Recipe(epochs=4, learning_rate=0.05, warmup_epochs=1, jit_compile=False)
    network = build()
    weights = network.get_weights()
    data = (images[:8], labels[:8])  # one batch, so that the order is always the same
    fit_mode(network, data, recipe, batch_size=8)
    undisturbed = network.get_weights()

    network.set_weights(weights)
    with pytest.raises(KeyboardInterrupt):
        fit_mode(network, data, recipe, batch_size=8, callbacks=[Interrupt()], backup_dir=tmp_path)
    network.set_weights(weights)
    history = fit_mode(network, data, recipe, batch_size=8, backup_dir=tmp_path)
    assert history.epoch == [2, 3]
    for a, b in zip(network.get_weights(), undisturbed, strict=True):
        np.testing.assert_array_equal(a, b)
