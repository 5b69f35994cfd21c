import time
import zipfile

import keras
import numpy as np
import pytest

from bridge_tf import Curve, InputError
from bridge_tf.networks.loading import read_as
from bridge_tf.networks.saving import is_whole, write_model


@pytest.mark.parametrize("kind", ["mode", "curve"])
def test_equal_models_give_equal_files_and_load_as_they_were(build, images, tmp_path, kind):
    model = build("batch") if kind == "mode" else Curve.between(build(), build(), seed=1)
    write_model(model, tmp_path / "a.keras")
    time.sleep(1.1)  # the date that Keras writes is in seconds
    write_model(model, tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    again = keras.models.load_model(tmp_path / "b.keras")
    np.testing.assert_array_equal(again(images), model(images))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras"]


def test_shared_layers_stay_shared(tmp_path):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3)
    write_model(keras.Model(inputs, dense(dense(inputs))), tmp_path / "a.keras")
    assert len(keras.models.load_model(tmp_path / "a.keras").weights) == 2


def test_damage_anywhere_is_told(build, tmp_path):
    path = tmp_path / "a.keras"
    write_model(build(), path)
    assert is_whole(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        starts = [entry.header_offset for entry in archive.infolist()]
    for place in [start + 500 for start in starts]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert not is_whole(path)
    path.write_bytes(content[:-10])
    assert not is_whole(path)


def test_another_kind_of_model_is_named(build, tmp_path):
    write_model(build(), tmp_path / "a.keras")
    with pytest.raises(InputError, match=r"a.keras holds a Functional, not a Curve; make it again"):
        read_as(tmp_path / "a.keras", Curve, "make it again")


def test_code_in_a_file_is_refused(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    model.save(tmp_path / "a.keras")
    with pytest.raises(InputError, match=r"a.keras can't be read .*`Lambda` layer.*arbitrary code"):
        read_as(tmp_path / "a.keras", keras.Model, "make it again")
