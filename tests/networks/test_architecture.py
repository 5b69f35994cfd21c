import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import Curve, InputError, build_network
from bridge_tf.networks import fresh_copy
from bridge_tf.networks.architecture import build_from_file


@keras.saving.register_keras_serializable(package="test_architecture")
class Subclassed(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flatten = layers.Flatten()
        self.dense = layers.Dense(classes)

    def call(self, inputs):
        return self.dense(self.flatten(inputs))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def sequential(classes=2, size=8):
    seeded = keras.initializers.GlorotUniform(seed=5)
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Normalization(name="moments"),
            layers.Conv2D(3, 3, name="frozen", trainable=False),
            layers.BatchNormalization(name="frozen_norm", trainable=False),
            layers.Conv2D(4, 3, kernel_initializer=seeded, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5, seed=3, name="dropout"),
            layers.Dense(classes, name="logits"),
        ]
    )


def functional(classes=2):
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.ops.add(inputs, 1.0)
    return keras.Model(inputs, sequential(classes)(x))


def two_inputs():
    inputs = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    return keras.Model(inputs, sequential()(layers.Add()(inputs)))


def subclassed(classes=2):
    model = Subclassed(classes)
    model(np.zeros((1, 8, 8, 1)))
    return model


def trained(model):
    """The model with an optimizer, adapted moments and weights unlike initial ones."""
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Normalization):
            layer.adapt(generator.normal(3, 2, (50, 8, 8, 1)))
        elif not layer._layers:
            layer.set_weights([generator.uniform(1, 2, w.shape) for w in layer.weights])
    model.compile("sgd", "mse")
    return model


def by_name(model):
    return {layer.name: layer for layer in model._flatten_layers()}


@pytest.mark.parametrize("make", [sequential, functional, subclassed])
def test_initial_weights_follow_the_global_seed(make, tmp_path):
    path = tmp_path / "mine.keras"
    trained(make()).save(path)
    copies = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        copies.append(build_network(str(path), (8, 8, 1), 2))
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1))
    outputs = [copy(images, training=False).numpy() for copy in copies]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-3
    assert not copies[0].compiled
    assert type(copies[0]) is type(make())


@pytest.mark.parametrize("make", [sequential, functional])
def test_what_training_does_not_change_is_kept(make):
    model = trained(make())
    copy = fresh_copy(model)
    old, new = by_name(model), by_name(copy)
    for name in ("frozen", "frozen_norm"):
        assert not new[name].trainable
        for ours, theirs in zip(new[name].get_weights(), old[name].get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1))
    np.testing.assert_allclose(new["moments"](images), old["moments"](images), rtol=1e-6)
    np.testing.assert_allclose(images.std() / new["moments"](images).numpy().std(), 2, rtol=0.1)
    for ours, fresh in zip(new["norm"].get_weights(), (1, 0, 0, 1), strict=True):
        np.testing.assert_array_equal(ours, np.full(4, fresh))
    assert np.abs(new["conv"].kernel).max() < 1  # the trained ones lie between 1 and 2
    assert len(copy.trainable_variables) == len(model.trainable_variables) == 6


def test_frozen_models_inside_are_kept():
    model = functional()
    model.layers[-1].trainable = False
    for variable in model.weights:
        variable.assign(variable + 1)
    copy = fresh_copy(model)
    for ours, theirs in zip(copy.layers[-1].layers, model.layers[-1].layers, strict=True):
        if ours.name != "moments":
            assert not ours.trainable
            for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_copy_can_be_an_end_of_a_curve():
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
    ends = [fresh_copy(trained(functional())) for _ in range(2)]
    curve = Curve.between(*ends)
    for r, end in enumerate(ends):
        np.testing.assert_allclose(curve.model_at(r)(images), end(images), rtol=1e-5)


def test_own_seeds_of_initializers_and_nothing_else_are_dropped():
    new = by_name(fresh_copy(sequential()))
    assert new["conv"].kernel_initializer.get_config()["seed"] is None
    assert new["dropout"].seed == 3


def test_input_sizes_may_be_open(tmp_path):
    path = tmp_path / "open.keras"
    sequential(size=None).save(path)
    assert build_from_file(path, (9, 12, 1), 2).output_shape == (None, 2)


def test_unbuilt_models_are_built_for_the_images(tmp_path):
    path = tmp_path / "unbuilt.keras"
    Subclassed(2).save(path)
    assert build_from_file(path, (8, 8, 1), 2).dense.kernel.shape == (64, 2)


@pytest.mark.parametrize(
    ("make", "shape", "classes", "message"),
    [
        (
            sequential,
            (8, 9, 1),
            2,
            r"maps \(None, 8, 8, 1\) to .* to \(None, 2\); `image_size=8` resizes them$",
        ),
        (
            functional,
            (8, 8, 3),
            2,
            r"maps \(None, 8, 8, 1\) to .* need \(None, 8, 8, 3\) to \(None, 2\)$",
        ),
        (functional, (8, 8, 1), 3, r"to \(None, 2\), but .* to \(None, 3\)"),
        (two_inputs, (8, 8, 1), 2, r"maps \[\(None, 8, 8, 1\), \(None, 8, 8, 1\)\] to"),
        (subclassed, (8, 8, 1), 3, r"to \(None, 2\), but .* to \(None, 3\)"),
        (subclassed, (8, 9, 1), 2, r"can't be called on images of shape \(None, 8, 9, 1\)"),
    ],
)
def test_models_for_other_data_are_refused(make, shape, classes, message, tmp_path):
    path = tmp_path / "mine.keras"
    make().save(path)
    with pytest.raises(InputError, match=rf"`model=.*mine.keras`: .*{message}") as caught:
        build_network(str(path), shape, classes)
    assert "\n" not in str(caught.value)


def test_models_that_are_not_built_by_their_configuration_are_refused():
    class Unbuilt(Subclassed):
        def get_build_config(self):
            return None

    model = Unbuilt(2)
    model(np.zeros((1, 8, 8, 1)))
    with pytest.raises(InputError, match=r"`model`: Unbuilt isn't built .*get_build_config"):
        fresh_copy(model)
