import keras
import pytest
from keras import layers

from bridge_tf import InputError
from bridge_tf.networks.loading import read_model


class Unregistered(layers.Layer):
    def call(self, inputs):
        return inputs


def test_files_that_can_not_be_loaded_are_named(tmp_path):
    inputs = keras.Input((8, 8, 1))
    for name, layer in (("code", layers.Lambda(lambda x: x)), ("class", Unregistered())):
        outputs = layers.Dense(2)(layers.Flatten()(layer(inputs)))
        keras.Model(inputs, outputs).save(tmp_path / f"{name}.keras")
    keras.saving.save_model(layers.Dense(2), tmp_path / "layer.keras")
    keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3)]).save(tmp_path / "whole.keras")
    whole = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bent.keras").write_bytes(whole.replace(b"Conv2D", b"Conv9D"))
    (tmp_path / "text.keras").write_text("no model")
    for name, message in {
        "none": "there is no such file",
        "text": "no .keras file, or damaged",
        "cut": "no .keras file, or damaged",
        "bent": "can't be loaded",
        "layer": "holds the layer Dense",
        "code": "can't be loaded .*Lambda",
        "class": "can't be loaded .*Could not locate class 'Unregistered'.*register",
    }.items():
        with pytest.raises(InputError, match=rf"`model=.*{name}.keras`: .*{message}") as caught:
            read_model(tmp_path / f"{name}.keras", "model")
        assert "\n" not in str(caught.value)


def test_models_are_read_without_their_optimizer(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    loaded = read_model(tmp_path / "model.keras", "model")
    assert not loaded.compiled
    assert (loaded.layers[0].kernel.numpy() == model.layers[0].kernel.numpy()).all()
