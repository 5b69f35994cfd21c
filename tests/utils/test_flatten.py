"""Nested models flattened: equal predictions, modes of calls, frozen layers, taps by path."""

import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import BridgeEnsemble, Curve, Recipe, build_bridge, choose_bridge, fit_bridge
from bridge_tf.networks.classifier import as_classifier
from bridge_tf.utils.flatten import flattened
from tests.curves.alignment.models import with_random_weights

IMAGES = np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 3)).astype("float32")


def backbone() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    skip = x = layers.Conv2D(6, 3, strides=2, padding="same", name="down")(layers.ReLU()(x))
    x = layers.Add(name="add")([layers.Conv2D(6, 1)(x), skip])
    return keras.Model(image, x, name="backbone")


def head(x):
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(5, name="logits")(x)


def guide(training=False) -> keras.Model:
    """The transfer-learning guide's model, augmentation inside."""
    image = keras.Input((8, 8, 3))
    augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
    x = layers.Rescaling(1 / 255)(augmentation(image))
    return keras.Model(image, head(backbone()(x, training=training)))


def sequential() -> keras.Model:
    parts = [layers.Rescaling(1 / 255), backbone(), layers.Flatten(), layers.Dense(5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts])


def shared() -> keras.Model:
    """One nested model, called twice, with layers of the same names around it."""
    image = keras.Input((8, 8, 3))
    inner, x = backbone(), layers.Conv2D(3, 1, name="conv")(layers.Rescaling(1 / 255)(image))
    both = inner(x) + keras.ops.relu(inner(-x))
    return keras.Model(image, head(both))


def deep() -> keras.Model:
    inner = keras.Sequential([keras.Input((8, 8, 3)), backbone(), layers.ReLU()], name="outer")
    image = keras.Input((8, 8, 3))
    return keras.Model(image, head(inner(layers.Rescaling(1 / 255)(image))))


MODELS = {build.__name__: build for build in (guide, sequential, shared, deep)}


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_same_and_has_no_model_inside(name):
    model = MODELS[name]()
    with_random_weights(model, 0, IMAGES)
    flat = flattened(model)
    assert not any(isinstance(item, keras.Model) for item in flat.operations)
    assert len({item.name for item in flat.operations}) == len(flat.operations)
    assert flat.count_params() == model.count_params()
    found, expected = (m(IMAGES, training=False) for m in (flat, model))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert flattened(flat) is flat


@pytest.mark.parametrize("training", [False, None])
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norm_inside_learns_what_it_does_nested(training, frozen):
    """Keras passes the `training` of the outer call on; frozen layers are always in inference."""
    model = guide(training=training)
    inner = model.get_layer("backbone")
    inner.trainable = not frozen
    flat = flattened(model)
    assert flat.get_layer("backbone.conv").trainable != frozen
    norm = flat.get_layer("backbone.norm")
    for called in (model, flat):
        keras.utils.set_random_seed(0)
        called(IMAGES, training=True)
    for a, b in zip(inner.get_layer("norm").variables, norm.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert (np.abs(norm.moving_mean).max() == 0) == frozen


@pytest.mark.parametrize("tap", ["backbone/add", "backbone.norm"])
def test_taps_inside_are_named_by_their_path(tap):
    base, end = guide(), guide()
    for seed, mode in enumerate((base, end)):
        with_random_weights(mode, seed, IMAGES)
    curve = Curve.between(base, end)
    bridge = build_bridge(base, tap, 0.5)
    recipe = Recipe(epochs=1, warmup_epochs=0, jit_compile=False)
    fit_bridge(bridge, base, curve.model_at(0.5), IMAGES, recipe, batch_size=8)
    outputs = BridgeEnsemble(base, [bridge]).predict(IMAGES, verbose=0)
    first = keras.ops.softmax(base.predict(IMAGES, verbose=0))
    np.testing.assert_allclose(np.exp(outputs["log_probabilities"][:, 0]), first, atol=1e-5)


def test_the_choice_of_a_tap_looks_inside_and_not_at_the_pre_processing():
    choice = choose_bridge(guide(), budget=0.4)
    assert choice.tap.startswith("backbone.")
    image = keras.Input((8, 8, 3))
    x = layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6])(layers.Rescaling(2)(image))
    x = layers.Conv2D(4, 3, name="first")(layers.ZeroPadding2D()(x))
    model = keras.Model(image, head(layers.Conv2D(8, 3, name="second")(x)))
    assert choose_bridge(model, budget=10).tap == "first"


def test_a_model_without_nested_ones_is_itself():
    model = flattened(sequential())
    assert as_classifier(model) is model
