"""Files that a run reads back: what is damaged is told, or it makes no difference."""

import json
import pathlib
import tempfile

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_tf.networks.loading import read_as
from bridge_tf.networks.saving import is_whole, write_model
from bridge_tf.runs.manifest import Manifest
from bridge_tf.training.callbacks.checkpoints import Checkpoints
from bridge_tf.utils.errors import InputError
from tests.fuzz.examples import search, spoilt, spoilt_json


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    return model


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory) -> bytes:
    checkpoints = Checkpoints(tmp_path_factory.mktemp("checkpoints"))
    checkpoints.restore(model, None)
    checkpoints.write(model, "epoch-1")
    return (checkpoints.folder / "epoch-1.npz").read_bytes()


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    write_model(model, path)
    return path.read_bytes()


def newest(content: bytes):
    """The checkpoint of this content; None where it is passed over."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "epoch-1.npz")
        path.write_bytes(content)
        found = Checkpoints(folder).newest()
        # A damaged one is removed, so that it can't take the place of the next.
        assert path.exists() == (found is not None)
        return found


def check_checkpoint(content: bytes, original: bytes) -> None:
    """A checkpoint that is read must be the one that was written."""
    found = newest(content)
    if found is not None:
        wanted = newest(original)
        assert (found.step, found.notes) == (wanted.step, wanted.notes)
        assert found.arrays.keys() == wanted.arrays.keys()
        for key, values in wanted.arrays.items():
            np.testing.assert_array_equal(found.arrays[key], values)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(changed)


def test_a_whole_checkpoint_is_read(checkpoint):
    assert newest(checkpoint) is not None


@search(300)
@given(bit=st.integers(0, 2**20))
def test_any_bit_of_a_checkpoint(bit, checkpoint):
    check_checkpoint(flipped(checkpoint, bit), checkpoint)


@search(60)
@given(data=st.data())
def test_any_bytes_of_a_checkpoint(data, checkpoint):
    check_checkpoint(data.draw(spoilt(checkpoint)), checkpoint)


@search(60)
@given(bit=st.integers(0, 2**20))
def test_any_bit_of_a_model(bit, model_file, model):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        path.write_bytes(flipped(model_file, bit))
        whole = is_whole(path)
        try:
            found = read_as(path, keras.Model, "make it again")
        except InputError as error:
            assert str(path) in str(error)
            return
        assert whole
        for values, wanted in zip(found.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(values, wanted)


def manifest(folder) -> Manifest:
    """A manifest of one file."""
    folder = pathlib.Path(folder)
    (folder / "0.keras").write_text("content")
    manifest = Manifest(folder)
    manifest.add(folder / "0.keras", folder / "0.keras")
    manifest.set("fingerprint", "0" * 64)
    return manifest


def check_manifest(change) -> None:
    """A manifest that is read must be the one that was written."""
    with tempfile.TemporaryDirectory() as folder:
        listed = manifest(folder)
        wanted = listed.read()
        listed.path.write_bytes(change(listed.path.read_bytes()))
        try:
            assert Manifest(listed.folder).read() == wanted
        except InputError as error:
            assert str(listed.path) in str(error)


@search(80)
@given(data=st.data())
def test_any_bytes_of_a_manifest(data):
    check_manifest(lambda content: data.draw(spoilt(content)))


@search(80)
@given(data=st.data())
def test_any_values_of_a_manifest(data):
    check_manifest(lambda content: data.draw(spoilt_json(json.loads(content))).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'"', b"[" * 100_000, b"\xff"])
def test_what_is_no_manifest(content, tmp_path):
    path = manifest(tmp_path).path
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        Manifest(tmp_path).read()
