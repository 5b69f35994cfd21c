import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import load_dataset
from bridge_tf.data.ood_images import load_other_images
from bridge_tf.utils.errors import InputError


@pytest.fixture
def npz(tmp_path):
    """Writes test images to an .npz file and gives its `ood_dataset`."""

    def npz(images: np.ndarray) -> str:
        train, labels = np.zeros((2, *images.shape[1:]), images.dtype), np.array([0, 1])
        path = tmp_path / "other.npz"
        np.savez(
            path,
            x_train=train,
            y_train=labels,
            x_test=images,
            y_test=labels[:1].repeat(len(images)),
        )
        return f"npz:{path}"

    return npz


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 10, 3)).astype("uint8")


def test_images_of_the_size_and_channels_are_taken_as_they_are(npz, colours):
    name, images = load_other_images(npz(colours), None, (12, 10, 3))
    assert name == "other" and images.dtype == np.uint8
    np.testing.assert_array_equal(images, colours)
    four = np.concatenate([colours, colours[..., :1]], axis=3)
    np.testing.assert_array_equal(load_other_images(npz(four), None, (12, 10, 4))[1], four)
    floats = colours.astype("float32")
    found = load_other_images(npz(floats), None, (12, 10, 3))[1]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, floats)


def test_colours_become_grey_as_pillow_has_it(npz, colours):
    _, images = load_other_images(npz(colours), None, (12, 10, 1))
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in colours]
    assert images.shape == (5, 12, 10, 1)
    # Pillow computes with 16 bits.
    np.testing.assert_allclose(images[..., 0], expected, atol=1)


def test_grey_becomes_three_equal_channels(npz, colours):
    grey = colours[..., :1]
    _, images = load_other_images(npz(grey), None, (12, 10, 3))
    np.testing.assert_array_equal(images, np.repeat(grey, 3, axis=3))


@pytest.mark.parametrize("size", [(6, 5), (8, 8), (30, 20)])
def test_other_sizes_are_resized_as_pillow_does(npz, colours, size):
    _, images = load_other_images(npz(colours), None, (*size, 3))
    pillow = [
        Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR) for image in colours
    ]
    assert images.shape == (5, *size, 3) and images.dtype == np.uint8
    # Of 8 bits, Pillow computes with whole numbers.
    np.testing.assert_allclose(images, [np.asarray(image) for image in pillow], atol=1)
    _, floats = load_other_images(npz(colours.astype("float32")), None, (*size, 3))
    np.testing.assert_allclose(floats, images, atol=0.51)


def test_no_more_images_than_wanted_evenly_spread(npz, colours):
    _, images = load_other_images(npz(colours), None, (12, 10, 3), max_images=2)
    np.testing.assert_array_equal(images, colours[[0, 2]])


def test_digits_for_coloured_images():
    _, images = load_other_images("digits", None, (32, 32, 3))
    assert images.shape == (797, 32, 32, 3)
    assert (images[..., 0] == images[..., 2]).all() and images.max() == 255


def test_a_folder_without_test_images_gives_those_that_would_be_held_out(tmp_path, colours):
    for k, image in enumerate(np.concatenate([colours, 255 - colours])):
        folder = tmp_path / "train" / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{k}.png")
    spec = f"folder:{tmp_path}"
    name, images = load_other_images(spec, None, (12, 10, 3))
    assert name == tmp_path.name and len(images) == 2
    np.testing.assert_array_equal(images, load_dataset(spec, validation_fraction=0.4).test.images)
    # Read at the size that is wanted, not at the first image's.
    _, small = load_other_images(spec, None, (4, 4, 1))
    assert small.shape == (2, 4, 4, 1)


def test_one_class_is_enough(tmp_path, colours):
    for split in ("train", "test"):
        (tmp_path / split / "only").mkdir(parents=True)
        Image.fromarray(colours[0]).save(tmp_path / split / "only" / "0.png")
    assert load_other_images(f"folder:{tmp_path}", None, (12, 10, 3))[1].shape == (1, 12, 10, 3)


def test_what_cannot_be_brought_to_the_channels_is_refused(npz, colours):
    four = npz(np.concatenate([colours, colours[..., :1]], axis=3))
    for channels in (1, 3):
        with pytest.raises(InputError, match=r"`ood_dataset=npz:.* have 4 channels, those of `d"):
            load_other_images(four, None, (12, 10, channels))
    with pytest.raises(InputError, match=r"have 3 channels, those of `dataset` 4; name images"):
        load_other_images(npz(colours), None, (12, 10, 4))


def test_messages_name_the_flag(tmp_path):
    shape = (8, 8, 1)
    for spec in ("digit", "folder:", "folder:absent", "npz:absent.npz"):
        with pytest.raises(InputError, match=f"^`ood_dataset={spec}`: "):
            load_other_images(spec, None, shape)
    with pytest.raises(InputError, match=r"^`ood_dataset=tfds:cifar10`: not prepared in `data_dir"):
        load_other_images("tfds:cifar10", str(tmp_path), shape)
    (tmp_path / "train" / "a").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "train" / "a" / "1.png")
    (tmp_path / "train" / "a" / "0.png").write_text("")
    # Not: by `skip_bad_images`, which evaluate doesn't have.
    with pytest.raises(InputError, match=r"^`ood_dataset=.*0.png \(empty\); mend or remove them$"):
        load_other_images(f"folder:{tmp_path}", None, shape)
