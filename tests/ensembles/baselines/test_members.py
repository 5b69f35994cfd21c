import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from bridge_tf import Recipe, build_network, fit_mode
from bridge_tf.ensembles.baselines import (
    RankOne,
    batch_ensemble,
    fit_members,
    mc_dropout,
    with_members,
)
from bridge_tf.ensembles.baselines.mc_dropout import ChannelDropout
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import inner_layers

MAKERS = {"batch_ensemble": batch_ensemble, "mc_dropout": mc_dropout}


@pytest.fixture(params=["frn", "batch"])
def network(request, build):
    return build(norm=request.param)


def layers_of(model, kind):
    return [layer for layer in inner_layers(model) if isinstance(layer, kind)]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_answers_of_members_depend_on_the_image_alone(make, network, images):
    members = with_members(make(network, 3), 3)
    together = members.predict(images, batch_size=24, verbose=0)
    assert together["log_probabilities"].shape == (24, 3, 5)
    for size in (1, 7):
        alone = members.predict(images, batch_size=size, verbose=0)
        for name in ("probabilities", "entropy", "mutual_information"):
            np.testing.assert_allclose(alone[name], together[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_members_differ_and_their_mean_is_the_answer(make, network, images):
    outputs = with_members(make(network, 2), 2).predict(images, verbose=0)
    first, second = np.exp(np.moveaxis(outputs["log_probabilities"], 1, 0))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_allclose(outputs["probabilities"], (first + second) / 2, atol=1e-6)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_members_are_saved_and_loaded(make, network, images, tmp_path):
    members = with_members(make(network, 3), 3)
    members.save(tmp_path / "members.keras")
    loaded = keras.models.load_model(tmp_path / "members.keras", safe_mode=True)
    for ours, theirs in zip(members.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["probabilities"],
        members.predict(images, verbose=0)["probabilities"],
        atol=1e-6,
    )


def test_rank_one_is_a_layer_with_the_members_own_kernel():
    dense = keras.layers.Dense(3, activation="tanh")
    layer = RankOne(dense, 2)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    layer.build((None, 4))
    for weight in (layer.inner, layer.outer, layer.bias):
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    found = ops.convert_to_numpy(layer(x))
    kernel, inner, outer, bias = map(
        ops.convert_to_numpy, (layer.layer.kernel, layer.inner, layer.outer, layer.bias)
    )
    for row, k in enumerate([0, 1, 0, 1, 0, 1]):
        own = kernel * np.outer(inner[k], outer[k])  # equation 5 of the paper
        np.testing.assert_allclose(found[row], np.tanh(x[row] @ own + bias[k]), atol=1e-5)


def test_batch_ensemble_begins_with_the_networks_weights(network):
    ensemble, factors = batch_ensemble(network, 2), []
    for layer in layers_of(ensemble, RankOne):
        original = network.get_layer(layer.layer.name)
        np.testing.assert_array_equal(layer.layer.kernel, original.kernel)
        factors.append(ops.convert_to_numpy(layer.outer).ravel())
    factors = np.concatenate(factors)
    assert abs(factors.mean() - 1) < 0.2 and 0.4 < factors.std() < 0.6 and factors.size > 80
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    assert len(layers_of(ensemble, RankOne)) == len(layers_of(network, kinds))


@pytest.mark.integration
@pytest.mark.parametrize("weighted", [False, True])
def test_each_image_trains_all_members(build, images, labels, weighted):
    def trained(fit, repeats):
        keras.utils.set_random_seed(0)
        network = batch_ensemble(plain, 3)
        weights = np.random.default_rng(0).uniform(0.5, 2, len(images)).astype("float32")
        columns = (images, labels, weights) if weighted else (images, labels)
        batches = tf.data.Dataset.from_tensor_slices(columns).batch(8)
        batches = batches.map(lambda *rows: tuple(tf.repeat(x, repeats, axis=0) for x in rows))
        history = fit(network, batches.repeat(2), recipe, steps_per_epoch=3)
        return [ops.convert_to_numpy(x) for x in network.weights], history.history

    plain = build(norm="batch")
    recipe = Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0, label_smoothing=0.1)
    found, history = trained(lambda network, *rest, **kw: fit_members(network, 3, *rest, **kw), 1)
    wanted, by_hand = trained(fit_mode, 3)
    assert history["accuracy"] == pytest.approx(by_hand["accuracy"])
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_dropout_member_is_a_network_without_some_channels(network, images):
    dropped = mc_dropout(network, 2, rate=0.3)
    answers = with_members(dropped, 2).predict(images, verbose=0)["log_probabilities"]
    for k in range(2):
        for layer in layers_of(dropped, ChannelDropout):
            original = network.get_layer(layer.layer.name)
            kernel = ops.convert_to_numpy(layer.layer.kernel)
            mask = ops.convert_to_numpy(layer.masks)[k]
            assert set(np.unique(mask)) <= {0.0, np.float32(1 / 0.7)}
            shape = (*[1] * (kernel.ndim - 2), -1, 1)
            original.kernel.assign(kernel * mask.reshape(shape))
        logits = network.predict(images, verbose=0)
        alone = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        np.testing.assert_allclose(answers[:, k], alone, atol=1e-4)


def test_dropout_in_training_draws_anew_for_each_image():
    layer = ChannelDropout(keras.layers.Dense(1, kernel_initializer="ones"), 2, 0.5)
    x = np.ones((400, 8), "float32")
    first, second = (ops.convert_to_numpy(layer(x, training=True)) for _ in range(2))
    assert np.any(first != second) and len(np.unique(first)) > 3
    assert abs(first.mean() - 8) < 0.6  # the mean is kept; five standard errors


def test_a_bias_and_an_activation_stay_in_a_sequential_network(images):
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    for make in MAKERS.values():
        outputs = with_members(make(network, 2), 2).predict(images, verbose=0)
        np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_cant_be_made_is_refused(make):
    class Subclassed(keras.Model):
        pass

    with pytest.raises(InputError, match="`baselines`: mine is a Subclassed"):
        make(Subclassed(name="mine"), 2)
    with pytest.raises(ValueError, match="size must be at least 2"):
        make(build_network("resnet8", (8, 8, 1), 5, width=0.25), 1)
