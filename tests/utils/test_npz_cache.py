import numpy as np
import pytest

from bridge_tf.utils.npz_cache import KeptPredictions

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
