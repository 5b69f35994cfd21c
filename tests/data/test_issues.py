"""What is wrong with a data set without making it useless."""

import numpy as np
import pytest

from bridge_tf.data import load_dataset
from bridge_tf.data.dataset import Dataset, Split
from bridge_tf.data.issues import Faults, digest


def _images(*values, dtype="uint8"):
    """Grey images of 2×2 pixels, each of one value."""
    return np.broadcast_to(np.array(values, dtype).reshape(-1, 1, 1, 1), (len(values), 2, 2, 1))


def _load(tmp_path, x_train, y_train, x_test, y_test):
    path = tmp_path / "data.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return load_dataset(f"npz:{path}", validation_fraction=0.5)


def test_a_clean_data_set_has_no_faults():
    assert load_dataset("digits").faults == Faults()


def test_test_images_that_are_training_or_validation_images_are_counted(tmp_path):
    train, test = _images(*range(10)), _images(1, 50, 1, 2, 3, 51)
    dataset = _load(tmp_path, train, np.arange(10) % 2, test, [0, 1, 1, 0, 1, 0])
    # Of the three known values, both splits hold one at least.
    assert all({1, 2, 3} & set(split.images.flat) for split in (dataset.train, dataset.validation))
    assert dataset.faults == Faults(duplicates=4)


def test_copies_within_a_split_are_no_duplicates(tmp_path):
    train, test = _images(*[1] * 4, *[2] * 4), _images(3, 3, 4)
    assert _load(tmp_path, train, [0] * 4 + [1] * 4, test, [0, 0, 1]).faults == Faults()


def test_pixels_of_two_types_are_compared_by_value(tmp_path):
    test = _images(1, 5, 77, dtype="float32")
    dataset = _load(tmp_path, _images(*range(10)), np.arange(10) % 2, test, [0, 1, 1])
    assert dataset.train.images.dtype != dataset.test.images.dtype
    assert dataset.faults.duplicates == 2


def test_classes_without_test_images_are_named(tmp_path):
    dataset = _load(tmp_path, _images(*range(12)), np.arange(12) % 3, _images(20, 21), [1, 1])
    assert dataset.faults == Faults(classes_without_test=("0", "2"))


@pytest.fixture
def dataset():
    """20 training, 10 validation and 10 test images, of which 4 are among the others too."""
    labels = np.arange(20, dtype="int32") % 2
    return Dataset(
        "tiny",
        ("a", "b"),
        Split(_images(*range(20)), labels),
        Split(_images(*range(20, 30)), labels[:10]),
        Split(_images(0, 25, 6, 7, *range(60, 66)), labels[:10]),
        Faults(("train/a/0.png",), 4),
    )


def test_limited_counts_in_the_images_that_stay(dataset):
    limited = dataset.limited(6)
    known = np.concatenate([limited.train.images, limited.validation.images])
    duplicates = sum((known == image).all((1, 2, 3)).any() for image in limited.test.images)
    assert duplicates < 4
    assert limited.faults == Faults(("train/a/0.png",), duplicates, test_left_out=4)
    assert limited.limited(5).faults.test_left_out == 5
    assert len(dataset.limited(1).faults.classes_without_test) == 1


def test_limited_to_more_than_there_are_changes_nothing(dataset):
    assert dataset.limited(100).faults == dataset.faults


def test_digest_is_of_the_values_in_their_order():
    pixels = np.arange(24, dtype="uint8").reshape(2, 4, 3)
    assert digest(pixels[:, ::-1]) == digest(pixels[:, ::-1].copy()) != digest(pixels)
