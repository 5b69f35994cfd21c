"""Arrays in a .npz file."""

import numpy as np
import pytest

from bridge_tf.data import load_dataset
from bridge_tf.data.readers.npz import read_npz
from bridge_tf.utils.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (44, 4, 5, 3), "uint8")
LABELS = np.arange(44) % 2


def _write(tmp_path, **changes):
    arrays = {
        "x_train": IMAGES[:40],
        "y_train": LABELS[:40],
        "x_test": IMAGES[40:],
        "y_test": LABELS[40:],
    } | changes
    path = tmp_path / "shapes.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


def test_arrays_come_back(tmp_path):
    source = read_npz(_write(tmp_path))
    assert (source.name, source.class_names) == ("shapes", ("0", "1"))
    np.testing.assert_array_equal(source.train.images, IMAGES[:40])
    np.testing.assert_array_equal(source.train.labels, LABELS[:40])
    np.testing.assert_array_equal(source.test.images, IMAGES[40:])
    np.testing.assert_array_equal(source.test.labels, LABELS[40:])
    assert source.train.labels.dtype == np.int32


def test_grey_images_get_a_channel_and_label_columns_lose_theirs(tmp_path):
    grey = IMAGES[..., 0]
    path = _write(
        tmp_path,
        x_train=grey[:40],
        x_test=grey[40:],
        y_train=LABELS[:40, np.newaxis].astype("uint8"),
    )
    dataset = load_dataset(f"npz:{path}")
    assert dataset.image_shape == (4, 5, 1)
    np.testing.assert_array_equal(dataset.test.images[..., 0], grey[40:])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_up_to_1_are_fractions_of_255(tmp_path, dtype):
    fractions = (IMAGES / 255).astype(dtype)
    fractions[0, 0, 0, 0] = fractions[40, 0, 0, 0] = 1
    source = read_npz(_write(tmp_path, x_train=fractions[:40], x_test=fractions[40:]))
    assert source.train.images.dtype == np.float32
    # One rounding, that of the product of single-precision numbers.
    expected = fractions[:40].astype("float64") * 255
    np.testing.assert_allclose(source.train.images, expected, rtol=2e-7)


def test_other_floats_are_pixels(tmp_path):
    pixels = IMAGES.astype("float64")
    source = read_npz(_write(tmp_path, x_train=pixels[:40], x_test=pixels[40:]))
    np.testing.assert_array_equal(source.train.images, IMAGES[:40].astype("float32"))


def test_the_scale_is_that_of_all_splits(tmp_path, caplog):
    # The darkest split of fractions has none above a half; of pixels, none above 1.
    splits = {"x_train": IMAGES[:40] / 255, "x_test": IMAGES[40:] / 510, "x_val": IMAGES[:4] / 255}
    source = read_npz(_write(tmp_path, **splits, y_val=LABELS[:4]))
    assert source.train.images.max() == source.validation.images.max() == 255
    np.testing.assert_allclose(source.test.images, IMAGES[40:] / 2, rtol=2e-7)
    assert caplog.messages == []
    dark = np.full((4, 4, 5, 3), 0.5)
    path = _write(tmp_path, x_train=IMAGES[:40] * 1.0, x_test=dark)
    np.testing.assert_array_equal(read_npz(path).test.images, dark)
    assert caplog.messages == [
        f"`dataset=npz:{path}`: x_test has a maximum of at most 0.5, but is taken as 0…255, the "
        "scale of x_train"
    ]


def test_black_images_are_of_any_scale(tmp_path):
    for train in (IMAGES[:40], IMAGES[:40] / 255, IMAGES[:40] * 1.0):
        source = read_npz(_write(tmp_path, x_train=train, x_test=np.zeros((4, 4, 5, 3))))
        assert (source.train.images.max(), source.test.images.max()) == (255, 0)


def test_validation_arrays_are_the_validation_split(tmp_path):
    path = _write(tmp_path, x_val=IMAGES[:6], y_val=LABELS[:6])
    for seed in (0, 1):
        dataset = load_dataset(f"npz:{path}", seed=seed)
        np.testing.assert_array_equal(dataset.train.images, IMAGES[:40])
        np.testing.assert_array_equal(dataset.validation.images, IMAGES[:6])
        np.testing.assert_array_equal(dataset.validation.labels, LABELS[:6])


@pytest.mark.parametrize("shape", [(3, 8, 3), (1, 28, 1), (3, 4, 5), (8, 3, 8)])
def test_small_images_and_other_numbers_of_channels_are_taken(tmp_path, shape):
    train, test = np.zeros((40, *shape), "uint8"), np.zeros((4, *shape), "uint8")
    source = read_npz(_write(tmp_path, x_train=train, x_test=test))
    assert source.train.images.shape == (40, *shape)


def _with(array, value):
    changed = array.astype("float32" if array.ndim == 4 else "int64")
    changed.flat[3] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"x_test": None, "y_test": None}, ["has no x_test, y_test", "x_train, y_train"]),
        ({"x_train": IMAGES[0]}, ["x_train has 4 images but y_train 40 labels"]),
        ({"x_train": IMAGES[0, 0]}, ["x_train must be", "N×H×W×C", "uint8[5, 3]"]),
        ({"x_train": IMAGES[:40].astype("int16")}, ["x_train must be uint8", "int16"]),
        ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, ["x_train must be", "[0, 4, 5, 3]"]),
        ({"x_test": IMAGES[40:, :3]}, ["[4, 5, 3]", "[3, 5, 3]", "alike"]),
        ({"x_train": _with(IMAGES[:40], np.nan)}, ["x_train", "not finite"]),
        ({"x_train": _with(IMAGES[:40], 256)}, ["x_train must lie in 0…255", "256"]),
        ({"x_train": _with(IMAGES[:40], -1)}, ["x_train must lie in 0…255", "-1"]),
        ({"y_train": LABELS[:39]}, ["x_train has 40 images but y_train 39 labels"]),
        ({"y_test": LABELS[:0]}, ["x_test has 4 images but y_test 0 labels"]),
        ({"y_train": LABELS[:40].astype("float32")}, ["y_train must be whole", "float32[40]"]),
        ({"y_train": np.eye(2, dtype=int)[LABELS[:40]]}, ["y_train must be whole", "[40, 2]"]),
        ({"y_train": _with(LABELS[:40], -1)}, ["y_train holds the label -1", "0…classes-1"]),
        ({"y_train": _with(LABELS[:40], 2**32)}, ["y_train holds the label 4294967296"]),
        ({"y_train": _with(LABELS[:40], 2**31 - 1)}, ["y_train has no image of class 2;"]),
        ({"y_test": _with(LABELS[40:], 2)}, ["y_test holds the label 2", "0…1"]),
        ({"y_train": LABELS[:40] * 2, "y_test": LABELS[40:]}, ["no image of class 1;"]),
        ({"x_train": np.array([None] * 40)}, ["can't be read", "allow_pickle=False"]),
        ({"x_val": IMAGES[:4]}, ["has no y_val; it must hold x_train, y_train,", "x_val, y_val"]),
        (
            {"x_val": IMAGES[:4, :3], "y_val": LABELS[:4]},
            ["of x_val [3, 5, 3]; they must be alike"],
        ),
        ({"x_val": IMAGES[:2], "y_val": LABELS[1:3] + 1}, ["y_val holds the label 2", "0…1"]),
        (
            {"y_train": np.array(["ant", "cat"])[LABELS[:40]]},
            [
                "y_train must be whole numbers, one an image, not strings[40]; save the classes'",
                "numpy.unique(y, return_inverse=True)",
            ],
        ),
        (
            {"y_test": np.array(["ant", "cat"], object)[LABELS[40:]]},
            ["y_test can't be read: it holds Python objects, such as strings", "numpy.unique(y,"],
        ),
        ({"y_test": np.eye(2)[LABELS[40:]]}, ["[4, 2]; these are one-hot: save .argmax(1)"]),
        ({"y_test": LABELS[40:] > 0}, ["bool[4]; save them as integers, by .astype(int)"]),
        (
            {"x_test": np.zeros((4, 3, 8, 8))},
            ["[4, 3, 8, 8] looks like channels-first, N×C×H×W; save numpy.moveaxis(x_test, 1, -1)"],
        ),
        ({"x_train": np.zeros((40, 1, 28, 5), "uint8")}, ["looks like channels-first"]),
        (
            {"x_train": IMAGES[:40] / 255},
            ["x_train is float64 up to 1, but x_test is uint8 up to 255; all images must be"],
        ),
        (
            {"x_test": IMAGES[40:] / 255},
            ["x_test is float64 up to 1, but x_train is uint8 up to 255"],
        ),
        (
            {"x_train": IMAGES[:40] / 255, "x_test": IMAGES[40:] * 1.0},
            ["x_train is float64 up to 1, but x_test is float64 up to 255"],
        ),
        (
            {"x_train": IMAGES[:40] / 250, "x_test": IMAGES[40:] / 255},
            ["x_train goes up to 1.02, which is neither 0…255 nor 0…1; clip the images to 0…1"],
        ),
        ({"y_train": LABELS[:40] * 0, "y_test": LABELS[40:] * 0}, ["one class only"]),
        ({"y_train": np.array([0] * 39 + [1])}, ["too few images to hold out 0.1 of 40"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, changes, parts):
    path = _write(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        load_dataset(f"npz:{path}")
    message = str(error.value)
    assert "\n" not in message
    for part in [path, *parts]:
        assert part in message


@pytest.mark.parametrize("length", [0, 10, -50])
def test_a_damaged_file_is_refused(tmp_path, length):
    path = tmp_path / "damaged.npz"
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, x_train=IMAGES)
    path.write_bytes(whole.read_bytes()[:length])
    with pytest.raises(InputError, match=r"damaged\.npz`: can't be read as \.npz \(.+\); save it"):
        load_dataset(f"npz:{path}")


def test_damaged_bytes_are_refused(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, x_train=IMAGES)
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\.npz`: can't be read as \.npz"):
        load_dataset(f"npz:{path}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"`dataset=npz:.*nowhere\.npz`: no such file"):
        load_dataset(f"npz:{tmp_path / 'nowhere.npz'}")
