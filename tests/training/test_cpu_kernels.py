import contextlib
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bridge_tf import Curve, FilterResponseNormalization, Recipe, fit_curve, fit_mode
from bridge_tf.training import fit as fit_module
from bridge_tf.training.cpu_kernels import cpu_kernels
from bridge_tf.utils.keras_utils import clone

QUICK = Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0, jit_compile=False)


def replaced(model) -> list[str]:
    """The names of the layers with a kernel."""
    with cpu_kernels(model):
        return [layer.name for layer in model.layers if "call" in vars(layer)]


def step(model, images, outer, training=True) -> list[np.ndarray]:
    """The outputs, gradients and state after a step, whose gradient of the outputs is `outer`."""

    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images, training=training)
        sources = [images, *(v.value for v in model.trainable_variables)]
        return outputs, tape.gradient(outputs, sources, output_gradients=outer)

    found = tf.nest.flatten(tf.function(run)(tf.constant(images)))
    return [value.numpy() for value in (*found, *model.non_trainable_variables)]


LAYERS = [
    lambda: layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
    lambda: layers.BatchNormalization(axis=3, scale=False),
    lambda: layers.BatchNormalization(center=False, epsilon=1e-3),
    lambda: layers.Activation("silu"),
    lambda: FilterResponseNormalization(),
    lambda: FilterResponseNormalization(epsilon=0.1),
]


@pytest.mark.parametrize("shape", [(6, 8, 8, 3), (5, 7, 3, 2), (3, 1, 1, 4), (1, 1, 1, 1)])
@pytest.mark.parametrize("layer", LAYERS)
def test_kernels_compute_what_keras_computes(layer, shape):
    inputs = keras.Input(shape[1:])
    model = keras.Model(inputs, layer()(inputs))
    generator = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(generator.uniform(0.3, 1.5, variable.shape))
    twin = clone(model)
    images, outer = generator.normal(0.5, 2, (2, *shape)).astype("float32")
    for training in (True, False):
        expected = step(model, images, outer, training)
        assert len(replaced(twin)) == 1
        with cpu_kernels(twin):
            found = step(twin, images, outer, training)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(a).max()))


def test_silu_of_bfloat16_is_rounded_once():
    layer = layers.Activation("silu", dtype="mixed_bfloat16")
    inputs = keras.Input((8, 8, 16), dtype="bfloat16")
    model = keras.Model(inputs, layer(inputs))
    images, outer = np.random.default_rng(0).normal(0, 2, (2, 4, 8, 8, 16))
    images, outer = (tf.cast(x, "bfloat16") for x in (images, outer))
    with cpu_kernels(model), tf.GradientTape() as tape:
        tape.watch(images)
        outputs = tf.function(model)(images)
    found = outputs, tape.gradient(outputs, images, outer)
    x, dy = (np.float64(values.numpy()) for values in (images, outer))
    share = 1 / (1 + np.exp(-x))
    for a, b in zip(found, (x * share, dy * share * (1 + x * (1 - share))), strict=True):
        assert a.dtype == "bfloat16"
        np.testing.assert_allclose(np.float64(a.numpy()), b, rtol=2**-8, atol=1e-6)


def test_a_batch_of_any_size_and_a_frozen_layer(build, images):
    model = build("batch")
    model.get_layer("stem_norm").trainable = False
    twin = clone(model)
    twin.get_layer("stem_norm").trainable = False
    with cpu_kernels(twin):
        call = tf.function(twin)
        for rows in (24, 1, 7):
            expected = model(images[:rows], training=True)
            np.testing.assert_allclose(call(images[:rows], training=True), expected, atol=2e-4)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


RENORM = "renorm" in inspect.signature(layers.BatchNormalization).parameters  # since Keras 3.14


def test_other_layers_and_settings_stay_as_they_are():
    class Own(layers.BatchNormalization):
        pass

    image = keras.Input((4, 4, 2))
    x = image
    for layer in (
        Own(name="subclass"),
        layers.BatchNormalization(axis=1, name="axis"),
        layers.BatchNormalization(synchronized=True, name="synchronized"),
        *([layers.BatchNormalization(renorm=True, name="renorm")] if RENORM else []),
        layers.BatchNormalization(dtype="float64", name="float64"),
        layers.Activation("gelu", name="gelu"),
        layers.BatchNormalization(name="norm"),
        layers.Activation("silu", name="silu"),
        layers.Flatten(name="flat"),
        layers.BatchNormalization(name="rows"),
    ):
        x = layer(x)
    model = keras.Model(image, x)
    assert replaced(model) == ["norm", "silu"]
    assert not any("call" in vars(layer) for layer in model.layers)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_training_that_diverged_is_seen(layer, value):
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, layers.ReLU()(layer()(inputs)))
    images = np.ones((2, 4, 4, 2), "float32")
    images[0, 1, 2, 1] = value
    expected = model(images, training=True)
    with cpu_kernels(model):
        found = tf.function(model)(images, training=True)
    assert np.isnan(expected).any() == np.isnan(found).any()
    assert not np.isfinite(found).all()


def test_the_network_of_a_curve_has_them_too(build):
    curve = Curve.between(build(), build())
    with cpu_kernels(curve):
        found = [layer.name for layer in curve.network.layers if "call" in vars(layer)]
    assert {"stem_norm", "stem", "stage3_block1"} <= set(found)


def test_an_accelerator_keeps_its_own_kernels(monkeypatch, build):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    assert replaced(build()) == []


@pytest.mark.integration  # compiles
@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_trainings_end_where_keras_ends(norm, build, images, labels, monkeypatch, tmp_path):
    start, end = build(norm), build(norm)
    found = []
    for kernels in (cpu_kernels, contextlib.nullcontext):
        monkeypatch.setattr(fit_module, "cpu_kernels", kernels)
        mode, curve = clone(start), Curve.between(start, end)
        saving = keras.callbacks.ModelCheckpoint(tmp_path / "saved.keras")
        options = {"batch_size": 10, "validation_data": (images, labels)}
        keras.utils.set_random_seed(0)
        history = fit_mode(mode, (images, labels), QUICK, callbacks=[saving], **options).history
        saved = keras.models.load_model(tmp_path / "saved.keras")
        np.testing.assert_array_equal(saved.get_weights()[0], mode.get_weights()[0])
        fit_curve(curve, (images, labels), QUICK, batch_size=10)
        found.append([*mode.get_weights(), *curve.get_weights(), history["val_loss"]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
