"""The digits, the dispatch and the three splits."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from bridge_tf.data import load_dataset
from bridge_tf.utils.errors import InputError


def _rows(split):
    return {image.tobytes() for image in split.images}


@pytest.fixture
def rare_class(tmp_path):
    """40 + 4 images; class 1 has two of the training images."""
    images = np.arange(44 * 4, dtype="uint8").reshape(44, 2, 2)
    np.savez(
        tmp_path / "rare.npz",
        x_train=images[:40],
        y_train=np.array([0] * 38 + [1] * 2),
        x_test=images[40:],
        y_test=np.zeros(4, int),
    )
    return f"npz:{tmp_path / 'rare.npz'}"


@pytest.mark.integration
def test_import_leaves_the_heavy_libraries_alone():
    heavy = ("tensorflow", "tensorflow_datasets", "sklearn", "PIL")
    code = f"import sys, bridge_tf.data; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_digits_are_scikit_learns_on_a_scale_to_255():
    dataset = load_dataset("digits")
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [len(split) for split in splits] == [900, 100, 797]
    assert dataset.name == "digits"
    assert dataset.class_names == tuple("0123456789")
    assert (dataset.num_classes, dataset.image_shape) == (10, (8, 8, 1))
    source = load_digits()
    expected = {
        (np.round(image * 255 / 16).astype("uint8").tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    }
    found = {
        (image.tobytes(), int(label))
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert found == expected
    assert {(s.images.dtype.name, s.labels.dtype.name) for s in splits} == {("uint8", "int32")}
    # Stratified: each class gives its share of test images, rounded.
    share = np.bincount(source.target) * 797 / 1797
    assert np.abs(np.bincount(dataset.test.labels) - share).max() < 1


def test_validation_follows_the_seed_and_test_does_not():
    one, again, other = (load_dataset("digits", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.validation.images, again.validation.images)
    np.testing.assert_array_equal(one.train.images, again.train.images)
    assert _rows(one.validation) != _rows(other.validation)
    np.testing.assert_array_equal(one.test.images, other.test.images)
    np.testing.assert_array_equal(one.test.labels, other.test.labels)
    # The 1,797 digits differ from one another, so that equal bytes mean the same image.
    assert len(_rows(one.train) | _rows(one.validation) | _rows(one.test)) == 1797


def test_validation_fraction_is_stratified():
    dataset = load_dataset("digits", validation_fraction=0.5)
    assert [len(dataset.train), len(dataset.validation)] == [500, 500]
    difference = np.bincount(dataset.train.labels) - np.bincount(dataset.validation.labels)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("fraction", [0.1, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_is_on_both_sides(rare_class, fraction, seed):
    dataset = load_dataset(rare_class, validation_fraction=fraction, seed=seed)
    assert set(dataset.train.labels) == set(dataset.validation.labels) == {0, 1}
    assert not _rows(dataset.train) & _rows(dataset.validation)
    assert len(dataset.train) + len(dataset.validation) == 40


@pytest.mark.parametrize(
    ("spec", "options", "parts"),
    [
        ("digit", {}, ["`dataset=digit`:", "digits, tfds:NAME", "folder:PATH", "npz:PATH",
                       "did you mean digits?"]),
        ("folders:x", {}, ["`dataset=folders:x`:", "did you mean folder?"]),
        ("digits:2", {}, ["`dataset=digits:2`:", "known are digits"]),
        ("", {}, ["`dataset=`:", "known are digits"]),
        ("npz:", {}, ["`dataset=npz:`:", "nothing after the colon"]),
        ("digits", {"validation_fraction": 0}, ["`validation_fraction=0`:", "(0, 1)"]),
        ("digits", {"validation_fraction": 1}, ["`validation_fraction=1`:", "(0, 1)"]),
        ("digits", {"validation_fraction": 1e-4}, ["`dataset=digits`:", "too few", "0.0001"]),
        ("digits", {"image_size": -1}, ["`image_size=-1`:", "at least 0"]),
        ("digits", {"skip_bad_images": -1}, ["`skip_bad_images=-1`:", "at least 0"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(spec, options, parts):
    with pytest.raises(InputError) as error:
        load_dataset(spec, **options)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_are_held_once(tmp_path, dtype):
    """While they are read, scaled and split; the held-out tenth is on its way for a moment."""
    pixels = np.random.default_rng(0).integers(0, 256, (10_000, 16, 16, 3))
    images = (pixels if dtype == "uint8" else pixels / 255).astype(dtype)
    labels = np.arange(10_000) % 10
    kept = {"x_train": images, "y_train": labels, "x_test": images[:50], "y_test": labels[:50]}
    np.savez(tmp_path / "many.npz", **kept)
    tracemalloc.start()
    try:
        dataset = load_dataset(f"npz:{tmp_path / 'many.npz'}", seed=3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * images.nbytes
    wanted = images if dtype == "uint8" else images * np.float32(255)
    rest, held_out = train_test_split(
        np.arange(10_000), test_size=0.1, random_state=3, stratify=labels
    )
    for split, places in ((dataset.train, rest), (dataset.validation, held_out)):
        np.testing.assert_array_equal(split.images, wanted[np.sort(places)])
        np.testing.assert_array_equal(split.labels, labels[np.sort(places)])


def test_images_in_the_order_of_fortran_are_taken(tmp_path, rare_class):
    arrays = dict(np.load(tmp_path / "rare.npz"))
    np.savez(tmp_path / "f.npz", **{name: np.asfortranarray(x) for name, x in arrays.items()})
    ours, theirs = load_dataset(f"npz:{tmp_path / 'f.npz'}"), load_dataset(rare_class)
    np.testing.assert_array_equal(ours.train.images, theirs.train.images)
    assert ours.digest == theirs.digest
