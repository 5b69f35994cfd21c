import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import InputError
from bridge_tf.networks.loading import not_finite, read_as, read_model, read_trained

WEIGHTS = "model.weights.h5"


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


@pytest.fixture
def saved(tmp_path):
    """A .keras file, and a function that saves it again with other members."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="out")])
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def save(name, method=zipfile.ZIP_STORED, **changes):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            for member, content in {**members, **changes}.items():
                archive.writestr(member, content)
        return tmp_path / name

    save.weights = members[WEIGHTS]
    return save


def with_kernel(content: bytes, **options) -> bytes:
    """A file of weights in which the dense layer's kernel is another dataset."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as weights:
        found = []
        weights.visititems(lambda name, item: found.append(name) if name.endswith("/0") else None)
        (name,) = found
        del weights[name]
        weights.create_dataset(name, dtype="float32", **options)
    return file.getvalue()


def test_archives_are_bounded_before_they_are_read(saved):
    path = saved("bomb.keras", zipfile.ZIP_DEFLATED, **{"assets/zeros": bytes(70 << 20)})
    with pytest.raises(InputError, match=r"bomb.keras`: holds .* that would become 73.4 MB; save"):
        read_model(path, "model")
    huge = {"shape": (10**5, 10**5), "chunks": (100, 100), "compression": "gzip"}
    path = saved("huge.keras", **{WEIGHTS: with_kernel(saved.weights, **huge)})
    with pytest.raises(InputError, match=r"/0 holds 0.0 MB that would become 40,000.0 MB; save"):
        read_model(path, "model")


def test_the_cause_is_told_in_one_line_without_warnings(saved, recwarn):
    outside = {"shape": (3, 2), "external": [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]}
    path = saved("outside.keras", **{WEIGHTS: with_kernel(saved.weights, **outside)})
    with pytest.raises(InputError, match=r"can't be loaded \(Not allowed: H5 file with external"):
        read_model(path, "model")
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_trained_weights_are_finite(tmp_path, value):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="out")])
    model.save(tmp_path / "whole.keras")
    assert not_finite(read_trained(tmp_path / "whole.keras", "modes")) is None
    model.layers[0].bias.assign([0, value])
    model.save(tmp_path / "bad.keras")
    read_model(tmp_path / "bad.keras", "model")  # of which the architecture is used
    with pytest.raises(InputError, match=r"bad.keras`: the weight out/bias holds NaN or infinity"):
        read_trained(tmp_path / "bad.keras", "modes")
    with pytest.raises(InputError, match=r"bad.keras: the weight out/bias .*; train again"):
        read_as(tmp_path / "bad.keras", keras.Model, "train again")
