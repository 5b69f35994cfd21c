import dataclasses

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from bridge_tf import Curve, InputError, Recipe, fit_curve, fit_mode, fit_modes
from bridge_tf.training.recipe import L2SGD
from bridge_tf.training.trainers import classification
from bridge_tf.utils.keras_utils import clone

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


@pytest.mark.integration
@pytest.mark.parametrize(
    ("setting", "accelerator", "augmented", "compiles"),
    [("auto", False, False, keras.backend.backend() == "jax"), ("auto", True, False, True),
     ("auto", True, True, False), (True, False, False, True), (False, True, False, False)],
)  # fmt: skip
def test_the_step_is_compiled_where_it_is_faster(
    monkeypatch, build, setting, accelerator, augmented, compiles
):
    monkeypatch.setattr(
        keras.distribution, "list_devices", lambda kind: ["gpu:0"] if accelerator else []
    )
    model = build()
    if augmented:
        image = keras.Input(model.input_shape[1:])
        model = keras.Model(image, model(keras.layers.RandomRotation(0.1)(image)))
    assert Recipe(jit_compile=setting).compiles(model) == compiles


@pytest.mark.integration  # compiles
def test_training_with_xla_gives_what_tensorflow_gives(build, images, labels):
    start, end = build(), build()
    plain, compiled = (clone(start), clone(start))
    for model, jit_compile in ((plain, False), (compiled, True)):
        recipe = Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0, jit_compile=jit_compile)
        fit_mode(model, (images, labels), recipe, batch_size=16)
    for a, b in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    curve = Curve.between(start, end)
    before = [point.numpy() for point in curve.trainable_variables]
    fit_curve(curve, (images, labels), recipe, batch_size=16)
    after = [point.numpy() for point in curve.trainable_variables]
    assert all(np.isfinite(point).all() for point in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.integration
def test_modes_differ_by_seed_and_repeat_with_it(build, images, labels):
    from bridge_tf import build_network

    def fresh():
        return build_network("resnet8", (8, 8, 1), 5, width=0.25)

    first, second = fit_modes(fresh, (images, labels), 2, QUICK, batch_size=8)
    again = fit_modes(fresh, (images, labels), 1, QUICK, batch_size=8)[0]
    assert np.abs(first.get_weights()[0] - second.get_weights()[0]).max() > 0.01
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_loss_knows_how_a_classifier_ends():
    inputs = keras.Input((3,))
    for activation, from_logits in (("linear", True), ("softmax", False)):

        def dense(activation=activation):
            return keras.layers.Dense(5, activation=activation)

        for model in (
            keras.Model(inputs, dense()(inputs)),
            keras.Sequential([keras.Input((3,)), dense()]),
            keras.Model(inputs, keras.Sequential([keras.layers.Dense(4), dense()])(inputs)),
        ):
            assert classification(model)["loss"].from_logits == from_logits
    for layer in (keras.layers.Softmax(), keras.layers.Activation("softmax"), keras.ops.softmax):
        loss = classification(keras.Model(inputs, layer(inputs)))["loss"]
        assert not loss.from_logits


@pytest.mark.parametrize("units", [1, 5])
@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing_mixes_labels_with_the_uniform_distribution(units, soft):
    generator = np.random.default_rng(0)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(units)(inputs))
    logits, labels = generator.normal(size=(8, units)), generator.integers(0, max(units, 2), 8)
    if units == 1:
        if soft:
            pytest.skip("a classifier of one unit has no soft labels")
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    one_hot = np.eye(max(units, 2))[labels]
    smooth = 0.8 * one_hot + 0.2 / one_hot.shape[-1]
    wanted = -(smooth * log_softmax(logits, axis=1)).sum(axis=1).mean()
    given = one_hot if soft else labels.reshape(-1, 1) if units == 1 else labels
    data = (np.zeros((8, 3)), given)
    loss = classification(model, data, label_smoothing=0.2)["loss"]
    assert float(loss(given, logits[:, -units:])) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.integration
def test_modes_and_curves_are_trained_with_smooth_labels(tiny, images, labels):
    recipe = Recipe(epochs=1, learning_rate=1e-4, warmup_epochs=0)
    smooth = dataclasses.replace(recipe, label_smoothing=0.9)
    mode, curve = tiny(), Curve.between(tiny(), tiny())
    for fit, model in ((fit_mode, mode), (fit_curve, curve)):
        plain, other = (
            fit(model, (images, labels), each, batch_size=24).history["loss"][0]
            for each in (recipe, smooth)
        )
        assert abs(plain - other) > 1e-3
    # A saved mode needs no loss of ours.
    assert type(mode.loss) is keras.losses.SparseCategoricalCrossentropy
    with pytest.raises(InputError, match="label_smoothing=1"):
        Recipe(label_smoothing=1.0)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["mode", "curve"])
def test_an_interrupted_training_goes_on(build, images, labels, tmp_path, kind):
    recipe = Recipe(epochs=4, learning_rate=0.05, warmup_epochs=1, jit_compile=False)
    data = (images[:8], labels[:8])  # one batch, so that the order is always the same
    ends = [build(), build()]

    def train(**options):
        model = clone(ends[0]) if kind == "mode" else Curve.between(*ends, seed=3)
        fit_one = fit_mode if kind == "mode" else fit_curve
        history = fit_one(model, data, recipe, batch_size=8, **options)
        return model.get_weights(), history.epoch

    undisturbed, _ = train()
    with pytest.raises(KeyboardInterrupt):
        train(callbacks=[Interrupt()], checkpoint_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-1.npz", "epoch-2.npz"]
    resumed, epochs = train(checkpoint_dir=tmp_path)
    assert epochs == [2, 3]
    for a, b in zip(resumed, undisturbed, strict=True):
        np.testing.assert_array_equal(a, b)
    # A training that is done already, and only its result was lost.
    again, epochs = train(checkpoint_dir=tmp_path)
    assert epochs == []
    for a, b in zip(again, undisturbed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.integration
def test_a_damaged_checkpoint_counts_as_none(build, images, labels, tmp_path):
    network = build()
    before = network.get_weights()
    data = (images[:8], labels[:8])
    fit_mode(network, data, QUICK, batch_size=8, checkpoint_dir=tmp_path)
    trained = network.get_weights()
    for checkpoint in tmp_path.iterdir():
        checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    network.set_weights(before)
    history = fit_mode(network, data, QUICK, batch_size=8, checkpoint_dir=tmp_path)
    assert history.epoch == [0, 1]
    for a, b in zip(network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.integration
def test_modes_keep_checkpoints_of_their_own(build, images, labels, tmp_path):
    data = (images[:8], labels[:8])
    fit_modes(build, data, 2, QUICK, batch_size=8, checkpoint_dir=tmp_path)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz"))
    assert names == [f"{mode}/epoch-{epoch}.npz" for mode in (0, 1) for epoch in (1, 2)]
