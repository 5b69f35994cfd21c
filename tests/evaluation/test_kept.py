import numpy as np
import pytest

from bridge_tf.data.types import Dataset, Split
from bridge_tf.evaluation.kept import KeptPredictions, digest

ARRAYS = [np.arange(6.0).reshape(2, 3), np.ones((1, 4), "float32")]


def test_what_is_kept_is_not_made_again(tmp_path):
    kept = KeptPredictions(tmp_path / "new", {"modes/0.keras": "a"})
    assert kept.get("mode-0", lambda: iter(ARRAYS))[0] is ARRAYS[0]
    again = KeptPredictions(tmp_path / "new", {"modes/0.keras": "a"})
    for a, b in zip(again.get("mode-0", pytest.fail), ARRAYS, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_what_is_of_other_files_or_damaged_is_made_again(tmp_path):
    KeptPredictions(tmp_path, "a").get("mode-0", lambda: ARRAYS)
    (other,) = KeptPredictions(tmp_path, "b").get("mode-0", lambda: [np.zeros(3)])
    np.testing.assert_array_equal(other, np.zeros(3))
    path = tmp_path / "mode-0.npz"
    content = bytearray(path.read_bytes())
    content[content.index(b"\x93NUMPY") + 128] ^= 1  # the first number
    path.write_bytes(content)
    (third,) = KeptPredictions(tmp_path, "b").get("mode-0", lambda: [np.ones(3)])
    np.testing.assert_array_equal(third, np.ones(3))


def test_the_digest_is_of_every_pixel_and_label():
    def dataset(pixel=0, label=0):
        images, labels = np.zeros((3, 2, 2, 1), "uint8"), np.zeros(3, "int32")
        changed = Split(images.copy(), labels.copy())
        changed.images[2, 1, 1, 0], changed.labels[2] = pixel, label
        return Dataset("d", ("a", "b"), Split(images, labels), Split(images, labels), changed)

    assert digest(dataset()) == digest(dataset())
    assert len({digest(dataset()), digest(dataset(pixel=1)), digest(dataset(label=1))}) == 3
