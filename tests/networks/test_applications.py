import sys

import keras
import numpy as np
import pytest
from keras.applications import imagenet_utils

from bridge_tf import InputError, build_network
from bridge_tf.networks.applications import application_names
from bridge_tf.networks.preprocessing import MODES, own_mode, preprocess

# One application of each family, a family being what shares a `preprocess_input`.
FAMILIES = {
    getattr(keras.applications, name).__module__: name for name in sorted(application_names())
}


def pixels(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def preprocessing(mode):
    images = keras.Input((6, 5, 3), name="image")
    return keras.Model(images, preprocess(images, mode))


def tflite(model, images):
    """What a conversion to built-in operations answers."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=content)
    interpreter.resize_tensor_input(0, images.shape)
    return next(iter(interpreter.get_signature_runner()(image=images).values()))


@pytest.mark.parametrize("name", FAMILIES.values())
def test_automatic_preprocessing_is_the_familys_own(name):
    builder = getattr(keras.applications, name)
    images = pixels(4, 6, 5, 3)
    expected = sys.modules[builder.__module__].preprocess_input(images.copy())
    # The scale and offset are combined into one of each: a few roundings at up to 255.
    np.testing.assert_allclose(preprocessing(own_mode(builder))(images), expected, atol=2e-5)


def test_families_with_preprocessing_inside_get_raw_pixels():
    raw = {
        name
        for name in application_names()
        if own_mode(getattr(keras.applications, name)) == "none"
    }
    starts = ("ConvNeXt", "EfficientNet", "MobileNetV3")
    assert raw == {name for name in application_names() if name.startswith(starts)}


@pytest.mark.parametrize("mode", MODES)
def test_modes_save_load_and_convert(mode, tmp_path):
    model, images = preprocessing(mode), pixels(4, 6, 5, 3)
    expected = (
        images if mode == "none" else imagenet_utils.preprocess_input(images.copy(), mode=mode)
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(images), expected, atol=2e-5)
    np.testing.assert_allclose(tflite(model, images), expected, atol=2e-5)


@pytest.mark.integration
@pytest.mark.parametrize("shape", [(32, 32, 3), (20, 24, 1), (40, 40, 3)])
def test_logits_are_those_of_the_application(shape, tmp_path):
    model = build_network("MobileNetV2", shape, 5, width=0.35, input_size=32)
    assert model.input_shape == (None, *shape) and model.output_shape == (None, 5)
    assert model.input.name == "image" and model.name == "mobilenetv2"
    names = [item.name for item in model.operations]
    assert ("resize" in names, "rgb" in names) == (shape[:2] != (32, 32), shape[2] == 1)
    images = pixels(4, *shape)
    _whiten(model, images)
    plain = keras.applications.MobileNetV2(
        (32, 32, 3), 0.35, weights=None, classes=5, classifier_activation=None
    )
    plain.set_weights(model.get_weights())
    resized = keras.ops.convert_to_numpy(keras.ops.image.resize(images, (32, 32)))
    expected = np.array(np.broadcast_to(resized, (4, 32, 32, 3)))
    expected = keras.applications.mobilenet_v2.preprocess_input(expected)
    first = keras.Model(model.input, model.get_layer("pixels").output)
    prepared = first.predict(images, verbose=0)
    np.testing.assert_allclose(prepared, expected, atol=1e-6)
    np.testing.assert_allclose(tflite(first, images), expected, atol=1e-6)
    # From the very same pixels on, since batch norms fitted to four images magnify roundings.
    logits = plain(prepared, training=False)
    assert np.abs(logits).max() > 0.1
    np.testing.assert_allclose(model(images), logits, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), model(images))


def _whiten(model, images):
    """Fits the moving averages to the images; with fresh ones the signal fades to 1e-11."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        norm.momentum = 0.999


def test_layers_are_tapped_by_name():
    model = build_network("MobileNetV2", (32, 32, 3), 5, width=0.35)
    assert model.get_layer("block_6_project_BN").output.shape == (None, 2, 2, 24)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


@pytest.mark.integration
def test_names_do_not_depend_on_what_was_built_before():
    first, second = (build_network("InceptionV3", (75, 75, 3), 2) for _ in range(2))
    names = [item.name for item in first.operations]
    assert names == [item.name for item in second.operations]
    assert len(names) == len(set(names))
    assert {"conv2d", "conv2d_93", "batch_normalization_93", "mixed5", "predictions"} <= set(names)


@pytest.mark.integration
def test_weights_follow_the_global_seed():
    kernels = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = build_network("MobileNetV3Small", (32, 32, 3), 5, width=0.25)
        kernels.append(model.get_layer("conv").kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01


def test_preprocessing_can_be_chosen():
    for choice, layers in (("none", []), ("tf", ["pixels"]), ("caffe", ["flip", "pixels"])):
        model = build_network("MobileNet", (32, 32, 3), 2, width=0.25, preprocessing=choice)
        assert [item.name for item in model.operations][: len(layers) + 2] == [
            "image",
            *layers,
            "conv1",
        ]


@pytest.mark.integration
def test_own_layers_of_applications_load_in_safe_mode(tmp_path):
    model = build_network("ConvNeXtTiny", (32, 32, 3), 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    images = pixels(1, 32, 32, 3)
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("MobileNetV2", (8, 8, 3), {}, r"`input_size`: .*32×32.* are 8×8; set `input_size=32`"),
        ("InceptionV3", (64, 80, 3), {}, r"`input_size`: .*64×80; set `input_size=75`"),
        ("Xception", (8, 8, 3), {"input_size": 70}, r"`input_size=70`: .*set `input_size=71`"),
        ("ResNet50", (32, 32, 3), {"input_size": -1}, "`input_size=-1`: must be 0"),
        ("VGG19", (32, 32, 2), {}, "`model=VGG19`: .*1 or 3 channels.*have 2"),
        ("VGG19", (32, 32, 4), {}, "`model=VGG19`: .*1 or 3 channels.*have 4"),
        ("VGG19", (32, 32, 3), {"width": 0.5}, "`width=0.5`: VGG19 comes in one width"),
        ("MobileNet", (32, 32, 3), {"width": 0}, "`width=0`: must be positive"),
        ("MobileNet", (32, 32, 3), {"width": 0.01}, "`model=MobileNet`: .*`width=0.01`"),
        ("VGG19", (32, 32, 3), {"preprocessing": "x"}, "`preprocessing=x`: .*auto, none, tf"),
        ("EfficientNetB0", (32, 32, 3), {"preprocessing": "tf"}, "`preprocessing=tf`: .*itself"),
    ],
)
def test_what_does_not_suit_is_refused(name, shape, options, message):
    with pytest.raises(InputError, match=message) as caught:
        build_network(name, shape, 2, **options)
    assert "\n" not in str(caught.value)
