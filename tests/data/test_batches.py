"""Batches for training and evaluation."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from bridge_tf.data import Split, steps_per_epoch, training_batches
from bridge_tf.utils.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), "uint8")
# The label is the image's number, to follow each image through the batches.
SPLIT = Split(IMAGES, np.arange(50, dtype="int32"))
FULL = {"augment": "crop_flip", "mixup_alpha": 0.4}
RESIZED = {"augment": "resized_crop_flip"}


def _batches(**changes):
    options = {"batch_size": 16, "epochs": 4, "seed": 7} | changes
    return list(training_batches(SPLIT, **options).as_numpy_iterator())


def _equal(ours, theirs):
    return len(ours) == len(theirs) and all(
        np.array_equal(x, u) and np.array_equal(y, v)
        for (x, y), (u, v) in zip(ours, theirs, strict=True)
    )


def test_shapes_are_static_and_the_length_is_known():
    batches = training_batches(SPLIT, 16, epochs=4, seed=0, **FULL)
    assert batches.element_spec == (
        tf.TensorSpec((16, 8, 8, 3), tf.float32),
        tf.TensorSpec((16,), tf.int32),
    )
    assert len(batches) == 12
    assert steps_per_epoch(SPLIT, 16) == 3


def test_nothing_of_images_in_memory_is_tuned_which_would_delay_the_end_of_fit():
    assert training_batches(SPLIT, 4, epochs=1, seed=0).options().autotune.enabled is False


def test_every_epoch_shows_images_once_in_an_order_of_its_own():
    epochs = np.array([y for _, y in _batches(batch_size=10)]).reshape(4, 50)
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert len({tuple(order) for order in epochs}) == 4
    for order in np.array([y for _, y in _batches()]).reshape(4, 48):
        assert len(set(order)) == 48


def test_without_augmentation_images_are_the_splits_own():
    for images, labels in _batches():
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images, IMAGES[labels].astype("float32"))


@pytest.mark.parametrize("options", [{}, {"augment": "crop"}, FULL, RESIZED])
def test_batches_are_a_function_of_the_seed(options):
    assert _equal(_batches(**options), _batches(**options))
    assert not _equal(_batches(**options), _batches(**options, seed=8))


@pytest.mark.parametrize(
    ("augment", "wanted"),
    [("none", "8099160090d25363"), ("crop", "e492fc6d6de1c2d9"), ("crop_flip", "abce1c17a30fa8c5")],
)
def test_a_seed_gives_the_batches_of_earlier_versions(augment, wanted):
    """Pixels stay whole numbers, so these digests are the same on every machine."""
    found = hashlib.sha256()
    for images, labels in _batches(augment=augment):
        found.update(images.tobytes() + labels.tobytes())
    assert found.hexdigest()[:16] == wanted


def test_images_are_read_where_they_are():
    images = IMAGES.copy()
    batches = training_batches(Split(images, SPLIT.labels), 16, epochs=1, seed=7)
    images[:] = 1  # a copy would keep the others
    assert {int(pixel) for x, _ in batches for pixel in np.unique(x)} == {1}


@pytest.mark.parametrize("first_step", [1, 3, 8, 9, 11, 12, 18])
def test_a_resumed_training_sees_what_the_whole_one_does(first_step):
    resumed = training_batches(SPLIT, 16, epochs=4, seed=7, first_step=first_step, **FULL)
    rest = _batches(**FULL)[first_step:]
    assert len(resumed) == len(rest)
    assert _equal(list(resumed.as_numpy_iterator()), rest)


def test_the_number_of_epochs_changes_no_batch():
    assert _equal(_batches(epochs=2, **FULL), _batches(epochs=9, **FULL)[:6])


def test_augmentation_keeps_the_order_and_differs_from_step_to_step():
    plain, full = _batches(), _batches(**FULL)
    for (_, expected), (_, found) in zip(plain, full, strict=True):
        np.testing.assert_array_equal(found, expected)
    same = Split(np.repeat(IMAGES[:1], 16, 0), np.zeros(16, "int32"))
    steps = [x for x, _ in training_batches(same, 16, epochs=6, seed=0, augment="crop_flip")]
    assert len({step.numpy().tobytes() for step in steps}) == 6


def test_crop_pads_by_an_eighth_of_the_height():
    white = Split(np.full((500, 8, 8, 1), 255, "uint8"), np.zeros(500, "int32"))
    ((images, _),) = training_batches(white, 500, epochs=1, seed=0, augment="crop")
    black_rows = (images.numpy() == 0).all(axis=(2, 3)).sum(axis=1)
    black_columns = (images.numpy() == 0).all(axis=(1, 3)).sum(axis=1)
    assert set(black_rows) == set(black_columns) == {0, 1}


def test_crop_pads_by_as_many_pixels_as_it_is_told():
    white = Split(np.full((500, 8, 8, 1), 255, "uint8"), np.zeros(500, "int32"))
    batches = training_batches(white, 500, epochs=1, seed=0, augment="crop", crop_padding=3)
    ((images, _),) = batches
    black_rows = (images.numpy() == 0).all(axis=(2, 3)).sum(axis=1)
    assert set(black_rows) == {0, 1, 2, 3}


def test_resized_crops_go_on_where_they_stopped_and_differ_from_image_to_image():
    rest = _batches(**RESIZED)[8:]
    resumed = training_batches(SPLIT, 16, epochs=4, seed=7, first_step=8, **RESIZED)
    assert _equal(list(resumed.as_numpy_iterator()), rest)
    same = Split(np.repeat(IMAGES[:1], 16, 0), np.zeros(16, "int32"))
    ((images, _),) = training_batches(same, 16, epochs=1, seed=0, **RESIZED)
    assert len({image.tobytes() for image in images.numpy()}) == 16


@pytest.mark.parametrize("augment", ["none", "crop"])
def test_only_crop_flip_mirrors(augment):
    ramp = np.tile(np.arange(1, 9, dtype="uint8"), (64, 8, 1))[..., None]
    split = Split(ramp, np.zeros(64, "int32"))

    def mirrored(augment):
        ((images, _),) = training_batches(split, 64, epochs=1, seed=0, augment=augment)
        middle = images.numpy()[:, 4, 3:5, 0]
        return (middle[:, 0] > middle[:, 1]).mean()

    assert mirrored(augment) == 0
    assert 0.2 < mirrored("crop_flip") < 0.8
    assert 0.2 < mirrored("resized_crop_flip") < 0.8


def test_float_images_keep_their_fractions():
    split = Split(IMAGES.astype("float32") / 3, SPLIT.labels)
    ((images, labels),) = training_batches(split, 50, epochs=1, seed=0)
    np.testing.assert_array_equal(images.numpy(), split.images[labels.numpy()])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 51}, "`batch_size=51`: more than the 50 training images"),
        ({"batch_size": 0}, "`batch_size=0`: must be at least 1"),
        ({"batch_size": -16}, "`batch_size=-16`: must be at least 1"),
        ({"augment": "flip"}, "`augment=flip`: must be one of none, crop, crop_flip"),
        ({"crop_padding": -1}, "`crop_padding=-1`: must be at least 0"),
        ({"mixup_alpha": -0.4}, "`mixup_alpha=-0.4`: must be 0 or a positive number"),
        ({"mixup_alpha": float("nan")}, "`mixup_alpha=nan`: must be 0 or a positive number"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(InputError) as error:
        _batches(**changes)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_soft_labels_are_mixed_as_the_images_are():
    """Images that show their own label in each pixel tell the shares."""
    labels = np.arange(40, dtype="int32") % 4
    images = np.eye(4, dtype="float32")[labels][:, None, None]  # 1×1 pixels of four channels
    split = Split(np.tile(images, (1, 2, 2, 1)), labels)
    options = {"epochs": 2, "seed": 3, "soft_labels": 4}
    for alpha in (0.0, 0.4):
        for x, y in training_batches(split, 8, mixup_alpha=alpha, **options):
            assert y.shape == (8, 4) and y.dtype == "float32"
            np.testing.assert_allclose(y, x[:, 0, 0], atol=1e-6)
            mixed = np.any((y.numpy() > 0.01) & (y.numpy() < 0.99))
            assert mixed == (alpha > 0)
