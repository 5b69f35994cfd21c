import h5py
import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import InputError, build_network
from bridge_tf.networks.layer_names import number_layers
from bridge_tf.networks.weights import load_weights
from bridge_tf.utils.keras_utils import clone

FORMATS = ("model.keras", "model.weights.h5", "legacy.h5")
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def save(model, folder, kind):
    path = folder / kind
    (model.save_weights if kind.endswith(".weights.h5") else model.save)(path)
    return path


def mobilenet(classes, width=0.25, weights=""):
    return build_network("MobileNet", (32, 32, 3), classes, width=width, weights=str(weights))


def small(classes=3, stem="stem"):
    """Layers with and without names, a nested model as in ConvNeXt, and all kinds of weights."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Normalization(name="moments")(inputs)
    inner = [layers.LayerNormalization(name="inner_norm"), layers.Conv2D(4, 3, name="inner_conv")]
    x = keras.Sequential(inner, name=stem)(x)
    for _ in range(12):  # HDF5 lists conv2d_10 before conv2d_2
        x = layers.Conv2D(4, 1)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(classes, name="predictions")(x), name="small")
    generator = np.random.default_rng(small.calls)
    small.calls += 1
    for variable in model.weights:
        if variable.name != "count":
            variable.assign(generator.uniform(0.5, 1, variable.shape))
    model.get_layer("moments").finalize_state()
    return model


small.calls = 0


def assert_same(model, source, classifier: bool):
    """All weights are equal, but for the last two without the classifier."""
    end = None if classifier else -2
    for ours, theirs in zip(model.weights[:end], source.weights[:end], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.integration
@pytest.mark.parametrize("kind", FORMATS)
def test_weights_of_an_application(kind, tmp_path):
    source = mobilenet(classes=3)
    path = save(source, tmp_path, kind)
    assert_same(mobilenet(3, weights=path), source, classifier=True)
    keras.utils.set_random_seed(1)
    fresh = mobilenet(5).get_layer("conv_preds").kernel.numpy()
    keras.utils.set_random_seed(1)
    other = mobilenet(5, weights=path)
    assert_same(other, source, classifier=False)
    np.testing.assert_array_equal(other.get_layer("conv_preds").kernel, fresh)
    assert [layer.name for layer in other.layers] == [layer.name for layer in source.layers]


@pytest.mark.integration
@pytest.mark.parametrize("kind", FORMATS)
def test_weights_of_a_plain_application(kind, tmp_path):
    source = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=7)
    assert_same(mobilenet(2, weights=save(source, tmp_path, kind)), source, classifier=False)


def test_published_weights_without_a_classifier(tmp_path):
    source = keras.applications.MobileNet((32, 32, 3), 0.25, include_top=False, weights=None)
    path = save(source, tmp_path, "legacy.h5")
    for ours, theirs in zip(mobilenet(2, weights=path).weights, source.weights, strict=False):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", FORMATS)
def test_layers_without_names_and_nested_ones(kind, tmp_path):
    source, model = small(), small()  # Keras numbers the second's layers on
    number_layers(model)
    load_weights(model, save(source, tmp_path, kind))
    assert_same(model, source, classifier=True)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3))
    np.testing.assert_allclose(model(images), source(images), rtol=1e-5)


def test_legacy_weights_of_renamed_layers_are_taken_in_order(tmp_path):
    source, model = small(stem="stem_v1"), small(classes=4)
    load_weights(model, save(source, tmp_path, "legacy.h5"))
    assert_same(model, source, classifier=False)


def test_a_classifier_by_another_name_is_left_out(tmp_path):
    source = mobilenet(classes=3)
    features = layers.Flatten()(source.get_layer("dropout").output)
    source = keras.Model(source.input, layers.Dense(3, name="mine")(features))
    model = mobilenet(3, weights=save(source, tmp_path, "model.keras"))
    assert_same(model, source, classifier=False)


@pytest.mark.integration
def test_published_efficientnets_normalize_as_keras_does(tmp_path):
    """keras.applications adds a layer when it loads them itself; here the moments are mended."""
    source = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=3)
    norm = next(x for x in source.layers if isinstance(x, layers.Normalization))
    norm.adapt_mean.assign(IMAGENET_MEAN)
    norm.adapt_variance.assign(IMAGENET_STD)
    path = save(source, tmp_path, "legacy.h5")
    model = build_network("EfficientNetB0", (32, 32, 3), 2, weights=str(path))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    body = keras.Model(model.input, model.get_layer("normalization").output)
    expected = (images / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(body(images), expected, atol=1e-5)


def test_moments_become_constants(tmp_path):
    source = small()
    source.get_layer("moments").adapt(np.random.default_rng(0).uniform(size=(9, 8, 8, 3)))
    copy = clone(source)
    assert not copy.get_layer("moments").weights
    model = small()
    number_layers(copy)
    number_layers(model)
    load_weights(model, save(copy, tmp_path, "model.keras"))
    images = np.random.default_rng(1).uniform(size=(2, 8, 8, 3))
    for other in (copy, model):
        np.testing.assert_allclose(other(images), source(images), rtol=1e-5)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = save(mobilenet(3), tmp_path, "model.weights.h5")
    cases = (
        ("MobileNet", {"width": 0.5}, "no layer that fits mobilenet"),
        ("MobileNetV3Small", {"width": 0.25}, "no layer that fits mobilenetv3small"),
    )
    for name, options, message in cases:
        with pytest.raises(
            InputError, match=rf"`weights=.*model.weights.h5`: .*{message}"
        ) as caught:
            build_network(name, (32, 32, 3), 3, weights=str(path), **options)
        assert "\n" not in str(caught.value)


def chain(units):
    inputs = keras.Input((4,))
    x = inputs
    for block, size in enumerate(units):
        x = layers.Dense(size, name=f"block{block}")(x)
    return keras.Model(inputs, layers.Dense(2, name="predictions")(x), name="chain")


@pytest.mark.parametrize("kind", FORMATS)
def test_layers_that_do_not_match_are_named(kind, tmp_path):
    path = save(chain([4, 4, 4, 4]), tmp_path, kind)
    for units, message in (
        ([4, 4, 3, 4], "of other shapes, for block2, block3 of chain; only .* 'predictions' may"),
        ([4] + 7 * [3], "for block1, block2, block3, block4, block5 and 2 more of chain"),
        ([4, 4], "another network, with layers that chain lacks: block2, block3"),
    ):
        model = chain(units)
        before = model.get_weights()
        with pytest.raises(InputError, match=message):
            load_weights(model, path)
        for ours, theirs in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_unreadable_files_are_named(tmp_path):
    model = small()
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    for name in ("text.h5", "text.weights.h5", "text.keras"):
        (tmp_path / name).write_text("no weights")
    cases = {"no.h5": "no such", "no.keras": "no such", "empty.h5": "can't be read"}
    cases |= {"text.h5": "can't be read", "text.weights.h5": "can't", "text.keras": "damaged"}
    path = save(model, tmp_path, "model.weights.h5")
    (tmp_path / "cut.weights.h5").write_bytes(path.read_bytes()[:9000])
    for name, message in (cases | {"cut.weights.h5": "can't be read"}).items():
        with pytest.raises(InputError, match=rf"`weights=.*{name}`: .*{message}") as caught:
            load_weights(model, tmp_path / name)
        assert "\n" not in str(caught.value)
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars"].attrs["name"]
    with pytest.raises(InputError, match="without the names of its layers"):
        load_weights(model, path)
