"""Which neurons are free in which graphs, and that permuting them leaves the function alone."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from bridge_tf.curves.alignment import rules
from bridge_tf.curves.alignment.permutations import permute
from bridge_tf.curves.alignment.spaces import find_structure
from bridge_tf.utils.keras_utils import clone, with_weights_of
from tests.curves.alignment.bodies import BODIES, concatenated, finish, residual, squeeze_and_excite
from tests.curves.alignment.models import largest_difference, outputs, shuffled, with_random_weights


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_permuted_models_compute_the_same(body, features):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, finish(body(inputs)))
    with_random_weights(model, 0)
    assert sorted(find_structure(model).sizes) == BODIES[body]
    check_shuffled(model, features)


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_weight_that_an_unknown_layer_uses_too_stays(order):
    class Borrower(layers.Layer):
        def __init__(self, dense):
            super().__init__()
            self.dense = dense

        def call(self, x):
            return ops.flip(self.dense(x), -1)

    inputs = keras.Input((6,))
    dense = layers.Dense(6)
    x = layers.Dense(6)(inputs)
    steps = [Borrower(dense), dense]
    for step in steps if order == "before" else steps[::-1]:
        x = layers.Dense(6)(step(x))
    model = keras.Model(inputs, finish(x))
    # Neither what the shared kernel reads nor what it makes; the layers' own, yes.
    assert find_structure(model).sizes == (6,)


def test_integers_strings_of_layers_and_several_inputs():
    words, numbers = keras.Input((5,), dtype="int32"), keras.Input((4,), name="numbers")
    x = layers.Flatten()(layers.Embedding(9, 6)(words))
    x = layers.Concatenate()([x, layers.Dense(7, "tanh")(numbers)])
    x = layers.Dense(8, "relu")(x)
    model = keras.Model([words, numbers], {"a": layers.Dense(2)(x), "b": layers.Dense(3)(x)})
    with_random_weights(model, 0)
    assert sorted(find_structure(model).sizes) == [6, 7, 8]
    generator = np.random.default_rng(0)
    data = [generator.integers(0, 9, (6, 5)), generator.normal(size=(6, 4)).astype("float32")]
    check_shuffled(model, data)


def test_channels_first_stays_as_it_is():
    inputs = keras.Input((3, 8, 8))
    x = layers.Conv2D(5, 3, data_format="channels_first")(inputs)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    model = keras.Model(inputs, layers.Dense(4)(layers.Dense(6)(x)))
    assert find_structure(model).sizes == (6,)


def test_a_permutation_that_forgets_an_axis_changes_the_function(features):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, finish(concatenated(squeeze_and_excite(residual(inputs)))))
    with_random_weights(model, 0)
    structure = find_structure(model)
    expected = outputs(model, features)
    generator = np.random.default_rng(1)
    permutations = [np.roll(generator.permutation(size), 1) for size in structure.sizes]
    copy = clone(model)
    for axis in structure.axes:
        with_weights_of(model, copy)
        rest = tuple(other for other in structure.axes if other != axis)
        permute(copy, dataclasses.replace(structure, axes=rest), permutations)
        change = np.abs(outputs(copy, features) - expected).max()
        assert change > 1e-3 * np.abs(expected).max(), axis


def test_the_rules_name_activations_that_keras_has():
    assert len(rules._known_activations()) >= len(rules._ACTIVATIONS)


def check_shuffled(model, data):
    copy = shuffled(model)
    expected = outputs(model, data)
    # Rounding: the terms of sums come in another order.
    np.testing.assert_allclose(outputs(copy, data), expected, atol=1e-5 * np.abs(expected).max())
    if find_structure(model).sizes:
        assert largest_difference(model, copy) > 0.1
