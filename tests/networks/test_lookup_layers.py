"""Models that look up text and numbers in tables, which Keras keeps outside the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from bridge_tf import (
    BridgeEnsemble,
    Curve,
    InputError,
    Recipe,
    build_bridge,
    choose_bridge,
    evaluate,
    export,
    fit_bridge,
    fit_curve,
    fit_modes,
)
from bridge_tf.networks.flops import count_flops
from bridge_tf.utils.keras_utils import clone, supports_jit

TEXTS = np.array([["good film"], ["bad film"], ["a film, good"], ["unseen"]])
LABELS = np.array([1, 0, 1, 0])


def of_text(**options) -> layers.Layer:
    layer = layers.TextVectorization(**options)
    layer.adapt(TEXTS[:3])
    return layer


def looking_up(kind, values, **options) -> layers.Layer:
    layer = kind(**options)
    layer.adapt(np.array(values))
    return layer


LAYERS = {
    "text": lambda: of_text(max_tokens=20, output_sequence_length=4),
    "text, given": lambda: layers.TextVectorization(
        vocabulary=["good", "bad"], output_sequence_length=3
    ),
    "text, tf_idf": lambda: of_text(output_mode="tf_idf"),
    "text, tf_idf, padded": lambda: of_text(
        output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True
    ),
    "strings": lambda: looking_up(layers.StringLookup, ["good film", "bad film"]),
    "strings, masked": lambda: looking_up(layers.StringLookup, ["good film"], mask_token="unseen"),
    "numbers": lambda: looking_up(layers.IntegerLookup, [12, 36], num_oov_indices=2),
    "numbers, one-hot": lambda: looking_up(layers.IntegerLookup, [12, 36], output_mode="one_hot"),
    "hashes": lambda: layers.Hashing(7),
    "bins": lambda: looking_up(layers.Discretization, [[0.0], [1.0], [20.0]], num_bins=3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_copies_look_up_the_same(name):
    layer = LAYERS[name]()
    numbers = name.startswith(("numbers", "bins"))
    values = np.array([[12], [36], [5], [0]]) if numbers else tf.constant(TEXTS)
    kind = {"n": "int64", "b": "float32"}.get(name[0], "string")
    inputs = keras.Input((1,), dtype=kind)
    model = keras.Model(inputs, layer(inputs))
    expected = model(values).numpy()
    assert len(np.unique(expected, axis=0)) > 1
    config = layer.get_config()
    for copy in (clone(model), clone(clone(model))):
        np.testing.assert_array_equal(copy(values), expected)
    assert layer.get_config() == config  # the original is left alone


def test_a_layer_that_was_not_adapted_is_copied():
    inputs = keras.Input((1,), dtype="string")
    copy = clone(keras.Model(inputs, layers.StringLookup()(inputs)))
    copy.layers[1].adapt(np.array(["a"]))
    assert copy.layers[1].get_vocabulary() == ["[UNK]", "a"]


@pytest.fixture
def build():
    text = LAYERS["text"]()

    def build():
        inputs = keras.Input((1,), dtype="string", name="text")
        x = layers.Embedding(20, 8, name="embedded")(text(inputs))
        x = layers.GlobalAveragePooling1D(name="mean")(x)
        return keras.Model(inputs, layers.Dense(2, name="logits")(x))

    return build


def test_the_flops_behind_the_text_are_counted(build):
    model, tokens = build(), keras.Input((4,), dtype="int64")
    x = tokens
    for layer in model.layers[2:]:
        x = layer(x)
    assert count_flops(model) == count_flops(keras.Model(tokens, x)) > 0
    choice = choose_bridge(build(), budget=2.0)
    assert choice.tap == "embedded"


@pytest.mark.integration
def test_a_classifier_of_text_is_trained_and_ensembled_but_not_exported(build, tmp_path):
    recipe = Recipe(epochs=2, warmup_epochs=0)
    assert recipe.jit_compile and not supports_jit(build())
    modes = fit_modes(build, (TEXTS, LABELS), 2, recipe, batch_size=2)
    curve = Curve.between(*modes)
    history = fit_curve(curve, (TEXTS, LABELS), recipe, batch_size=2)
    assert np.isfinite(history.history["loss"]).all()
    member = curve.model_at(0.5)
    bridge = build_bridge(modes[0], "mean", 1.0, warm_start=member)
    fit_bridge(bridge, modes[0], member, TEXTS, recipe, batch_size=2)
    ensemble = BridgeEnsemble(modes[0], [bridge])
    figures = evaluate(ensemble, (TEXTS, LABELS), (TEXTS, LABELS))
    values = tf.constant(TEXTS)
    expected = ensemble.predict(values, verbose=0)["probabilities"]
    assert figures["accuracy"] == np.mean(expected.argmax(1) == LABELS)
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    np.testing.assert_array_equal(loaded.predict(values, verbose=0)["probabilities"], expected)
    with pytest.raises(
        InputError, match=r"the layer 'text_vectorization.*' .* can't run in TFLite"
    ):
        export(ensemble, tmp_path / "exports", "text", TEXTS)
    assert not (tmp_path / "exports").exists()
