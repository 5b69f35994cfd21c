"""What a curve takes besides the networks of the package, and what it refuses."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from bridge_tf import Curve, InputError, Recipe, Split, fit_curve
from bridge_tf.utils.keras_utils import clone

L = keras.layers
STEP = Recipe(epochs=1, learning_rate=0.05, warmup_epochs=0, jit_compile=False)


def dense(x, activation="relu", units=4):
    return L.Dense(3, name="out")(L.Dense(units, activation=activation, name="hidden")(x))


def network(body=dense, shape=(4,), dtype=None, **options):
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, body(x, **options))


def test_ends_of_mixed_precision_networks_are_exact_and_points_are_not_rounded():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        start, end = network(), network()
        curve = Curve.between(start, end)
        for r, mode in ((0.0, start), (1.0, end)):
            np.testing.assert_array_equal(
                keras.ops.cast(curve(x, r=r), "float32"), keras.ops.cast(mode(x), "float32")
            )
            for found, wanted in zip(curve.weights_at(r), mode.trainable_variables, strict=True):
                np.testing.assert_array_equal(found, wanted)
        assert keras.backend.standardize_dtype(curve(x).dtype) == "bfloat16"
        assert {weight.dtype for weight in curve.control_points[1]} == {"float32"}
        before = [np.array(point) for point in curve.control_points[1]]
        fit_curve(curve, (x, np.arange(5) % 3), STEP, batch_size=5)
        for old, new in zip(before, curve.control_points[1], strict=True):
            change = np.abs(np.array(new) - old)
            assert 0 < change.max() < 0.2
    finally:
        keras.config.set_dtype_policy(with_policy)


def test_several_inputs_and_embeddings():
    def build():
        tokens, numbers = (
            keras.Input((6,), dtype="int32", name="tokens"),
            keras.Input((2,), name="numbers"),
        )
        x = L.GlobalAveragePooling1D()(L.Embedding(20, 4)(tokens))
        return keras.Model(
            {"tokens": tokens, "numbers": numbers}, dense(L.Concatenate()([x, numbers]))
        )

    start, end = build(), build()
    generator = np.random.default_rng(0)
    x = {
        "tokens": generator.integers(0, 20, (5, 6)).astype("int32"),
        "numbers": generator.normal(size=(5, 2)).astype("float32"),
    }
    curve = Curve.between(start, end)
    np.testing.assert_allclose(curve(x, r=0.0), start(x), atol=1e-6)
    np.testing.assert_allclose(curve(x, r=1.0), end(x), atol=1e-6)


def test_shared_layers_move_once():
    def build():
        layer = L.Dense(4, activation="relu")
        x = keras.Input((4,))
        return keras.Model(x, L.Dense(3)(layer(layer(x))))

    start, end = build(), build()
    curve = Curve.between(start, end)
    assert len(curve.control_points[1]) == 4
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(curve(x, r=1.0), end(x), atol=1e-6)


def test_adapted_normalization_keeps_its_moments(tmp_path):
    data = np.random.default_rng(0).normal(5, 3, size=(50, 4)).astype("float32")

    def build():
        normalization = L.Normalization()
        normalization.adapt(data)
        return network(lambda x: dense(normalization(x)))

    start, end = build(), build()
    np.testing.assert_allclose(clone(start)(data), start(data), atol=1e-5)
    curve = Curve.between(start, end)
    np.testing.assert_allclose(curve(data, r=0.0), start(data), atol=1e-5)
    np.testing.assert_allclose(curve.model_at(1.0)(data), end(data), atol=1e-5)
    curve.save(tmp_path / "curve.keras")
    loaded = keras.models.load_model(tmp_path / "curve.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(data, r=0.3), curve(data, r=0.3))


def test_seed_generators_move_on_in_training_only():
    curve = Curve.between(*(network(lambda x: dense(L.Dropout(0.5)(x))) for _ in range(2)))
    x = np.ones((8, 4), "float32")
    first, second = (np.asarray(curve(x, r=0.5, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(curve(x, r=0.5), curve(x, r=0.5))


@keras.saving.register_keras_serializable(package="tests")
class Counted(keras.layers.Layer):
    """A trainable weight that is no floating-point number."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="count")

    def call(self, x):
        return x + keras.ops.cast(self.count, x.dtype)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: dense(Counted(name="counter")(x)), "counter/count is trainable but of type int"),
        (lambda x: L.Dense(3, name="eight", dtype="int8_from_float32")(x), "eight is quantized"),
    ],
)
def test_what_can_not_be_interpolated_is_named(body, message):
    model = network(body)
    with pytest.raises(ValueError, match=message):
        Curve.between(model, model)


def test_a_quantized_model_is_refused():
    model = network()
    model.quantize("int8")
    with pytest.raises(ValueError, match="hidden is quantized"):
        Curve(model)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"activation": "tanh"},
            "the layer hidden is Dense (relu) in the one and hidden is Dense (tan",
        ),
        (
            {"units": 5},
            "hidden/kernel is float32(4, 4) in the one and hidden/kernel is float32(4, 5)",
        ),
        ({"body": lambda x: dense(L.Dense(4, name="more")(x))}, "and more is Dense (linear) in"),
        ({"body": lambda x: L.Dropout(0.5)(dense(x))}, "they have 3 and 4 layers"),
    ],
)
def test_ends_of_two_architectures_are_refused(other, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Curve.between(network(), network(**other))


def test_a_layer_that_is_frozen_in_one_end_is_named():
    """As of modes saved after the two phases of transfer learning."""
    start, end = network(), network()
    start.get_layer("hidden").trainable = False
    with pytest.raises(ValueError, match=r"but trainable of the layer .*hidden is False in the"):
        Curve.between(start, end)
    end.get_layer("hidden").trainable = False
    assert len(Curve.between(start, end).control_points[0]) == 2


def test_members_are_re_estimated_on_any_data(tiny, images, labels):
    curve = Curve.between(tiny(), tiny())
    expected = curve.model_at(0.5, images).get_weights()
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(24)
    for data in ((images, labels), Split(images, labels), batches, batches.map(lambda x, y: x)):
        for a, b in zip(curve.model_at(0.5, data).get_weights(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    found = curve.model_at(0.5, batches.repeat(), steps=1).get_weights()
    np.testing.assert_allclose(found[-1], expected[-1], rtol=1e-6)
    with pytest.raises(InputError, match=r"^`data`: never ends; give `steps`"):
        curve.model_at(0.5, batches.repeat())


def test_a_loss_of_ones_own_is_used():
    model = network(lambda x: L.Dense(3, activation="softmax")(x))
    curve = Curve.between(model, network(lambda x: L.Dense(3, activation="softmax")(x)))
    x, y = np.ones((4, 4), "float32"), np.zeros(4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    history = fit_curve(curve, (x, y), STEP, batch_size=4, loss=loss).history
    own = fit_curve(Curve.between(model, model), (x, y), STEP, batch_size=4).history
    assert history["loss"] != own["loss"]
