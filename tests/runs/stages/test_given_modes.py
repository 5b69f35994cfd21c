"""Modes of a user's own: their input scale, those that are missing, and what validates them."""

import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import load_dataset
from bridge_tf.config import Config
from bridge_tf.data.readers.digits import read_digits
from bridge_tf.networks.input_scale import scaled, with_input_scale
from bridge_tf.runs.stages.evaluate.warnings import find_warnings
from bridge_tf.utils.errors import InputError
from tests.runs.small import SMALL, executed

OPTIONS = {
    **{name: value for name, value in SMALL.items() if name not in ("width", "max_images")},
    **{
        "taps": ["conv"],
        "max_images": 200,
        "curve_epochs": 1,
        "bridge_epochs": 1,
        "warmup_epochs": 0,
    },
}


def network() -> keras.Model:
    parts = [layers.Conv2D(8, 3, activation="relu", name="conv"), layers.Flatten()]
    return keras.Sequential([keras.Input((8, 8, 1)), *parts, layers.Dense(10, name="logits")])


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    """Two networks that were trained on pixels from 0 to 1, scaled outside, by their paths."""
    folder, data = tmp_path_factory.mktemp("modes"), read_digits().train
    paths = []
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        model = network()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        model.fit(data.images / 255.0, data.labels, epochs=12, verbose=0)
        paths.append(str(folder / f"{seed}.keras"))
        model.save(paths[-1])
    return paths


@pytest.mark.parametrize("scale", ["1", "symmetric"])
def test_the_scale_goes_inside_and_layers_keep_their_names(scale):
    model = network()
    inside = with_input_scale(model, scale)
    images = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 1)).astype("float32")
    wanted = images / 255 if scale == "1" else images / 127.5 - 1
    np.testing.assert_allclose(scaled(images, scale), wanted, atol=1e-6)
    np.testing.assert_allclose(inside(images), model(wanted), atol=1e-4)
    assert [layer.name for layer in inside.layers][1:3] == ["input_scale", "conv"]


@pytest.mark.integration
def test_another_scale_is_refused_with_the_setting_that_mends_it(modes, tmp_path):
    message = r"has accuracy .* NLL .* from 0 to 255 on 200 .* 0 to 1; set `input_scale=1`"
    with pytest.raises(InputError, match=message):
        executed(Config(modes=modes, **OPTIONS), tmp_path / "run", ["modes"])
    assert not (tmp_path / "run").exists()


@pytest.mark.integration
def test_modes_of_another_scale_are_run_with_it_and_half_of_the_test_images_validate(
    modes, tmp_path, caplog
):
    config = Config(modes=modes, input_scale="1", export_dir=str(tmp_path / "out"), **OPTIONS)
    with caplog.at_level("INFO", "bridge_tf"):
        run = executed(config, tmp_path / "run", ["modes", "curves", "bridges", "evaluate"])
    assert "half of the test images, 200, validate" in caplog.text
    assert run.data.validation_from == "test"
    mode = run.load_mode(0)
    images = read_digits().test.images[:20].astype("float32")
    wanted = keras.models.load_model(modes[0])(images / 255)
    np.testing.assert_allclose(mode(images), wanted, atol=1e-4)
    known = {image.tobytes() for image in run.data.test.images}
    assert not known.intersection(image.tobytes() for image in run.data.validation.images)


@pytest.mark.integration
def test_missing_modes_are_trained_and_the_given_one_stays(modes, tmp_path):
    config = Config(modes=modes[:1], num_modes=3, input_scale="1", **OPTIONS)
    assert config.num_modes == 3 and len(config.curves()) == 2
    run = executed(config, tmp_path / "run", ["modes"])
    given, *trained = (run.load_mode(k).get_weights() for k in range(3))
    for a, b in zip(given, keras.models.load_model(modes[0]).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for weights in trained:
        assert [w.shape for w in weights] == [w.shape for w in given]
        assert np.abs(weights[0] - given[0]).max() > 1e-3


def test_how_many_modes_there_are():
    assert Config(modes=["a.keras", "b.keras"]).num_modes == 2
    assert Config(modes=["a.keras"]).num_modes == 4
    assert Config(modes=["a.keras", "b.keras"], num_modes=3).num_modes == 3
    with pytest.raises(InputError, match="`num_modes=2`: `modes` names 3"):
        Config(modes=["a.keras", "b.keras", "c.keras"], num_modes=2)
    with pytest.raises(InputError, match="`input_scale=1`: needs `modes`"):
        Config(input_scale="1")


def test_what_spoils_the_calibration_is_a_warning():
    data = load_dataset("digits")
    found = find_warnings(data, 20, [], [], seen=True, harmed=[("bridge_1", 0.25, 0.5)])
    assert any("`modes` may have been trained on the validation images" in text for text in found)
    assert any("makes bridge_1 worse" in text and "0.2500 before" in text for text in found)
    assert find_warnings(data, 20, [], []) == []


def test_the_scale_is_found_where_training_images_are_right_at_a_wrong_one(modes, tmp_path):
    """As they often are: logits that grow with the pixels leave the largest the largest."""
    splits, model = read_digits(), keras.models.load_model(modes[0])
    images, labels = splits.train.images, splits.train.labels
    right = model.predict(images.astype("float32"), verbose=0).argmax(axis=1) == labels
    assert right.mean() > 0.8
    path = tmp_path / "right.npz"
    np.savez(
        path,
        **{"x_train": images[right], "y_train": labels[right]},
        **{"x_val": images, "y_val": labels},
        **{"x_test": splits.test.images, "y_test": splits.test.labels},
    )
    config = Config(modes=modes, **{**OPTIONS, "dataset": f"npz:{path}"})
    with pytest.raises(InputError, match=r"validation images, .* set `input_scale=1`"):
        executed(config, tmp_path / "run", ["modes"])
